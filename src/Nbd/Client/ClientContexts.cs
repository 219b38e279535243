using System.Buffers.Binary;
using System.Text;
using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Client;

/// <summary>The meta contexts a client asks for, and the numbers the server gave them.</summary>
/// <param name="changes">The point to ask for; null for none.</param>
internal sealed class ClientContexts(string? changes)
{
    private readonly byte[] _allocation = "base:allocation"u8.ToArray();
    private readonly byte[] _layer = "godwit:layer"u8.ToArray();
    private readonly byte[] _changes = Encoding.UTF8.GetBytes("godwit:dirty:" + changes);

    /// <summary>Number of base:allocation; null when the server has none.</summary>
    public uint? Allocation { get; private set; }

    /// <summary>Number of godwit:layer; null when the server is not one of ours.</summary>
    public uint? Layer { get; private set; }

    /// <summary>Number of godwit:dirty:NAME; null when the server has no such point, or it was not asked for.</summary>
    public uint? Changes { get; private set; }

    /// <summary>Data of SET_META_CONTEXT.</summary>
    public byte[] Request(ReadOnlySpan<byte> export)
    {
        byte[][] names = changes is null ? [_allocation, _layer] : [_allocation, _layer, _changes];
        var request = new byte[4 + export.Length + 4 + names.Sum(name => 4 + name.Length)];
        var to = Put(request, export);
        BinaryPrimitives.WriteUInt32BigEndian(to, (uint)names.Length);
        to = to[4..];
        foreach (var name in names)
            to = Put(to, name);
        return request;
    }

    /// <summary>Takes a context the server agrees to. False when it is none that was asked for, or comes twice.</summary>
    public bool TryTake(NbdOptionReply type, ReadOnlySpan<byte> data)
    {
        if (type != NbdOptionReply.MetaContext || data.Length < 4)
            return false;
        var id = BinaryPrimitives.ReadUInt32BigEndian(data);
        if (id == Allocation || id == Layer || id == Changes)
            return false;
        var name = data[4..];
        if (name.SequenceEqual(_allocation) && Allocation is null)
            Allocation = id;
        else if (name.SequenceEqual(_layer) && Layer is null)
            Layer = id;
        else if (changes is not null && name.SequenceEqual(_changes) && Changes is null)
            Changes = id;
        else
            return false;
        return true;
    }

    private static Span<byte> Put(Span<byte> to, ReadOnlySpan<byte> text)
    {
        BinaryPrimitives.WriteUInt32BigEndian(to, (uint)text.Length);
        text.CopyTo(to[4..]);
        return to[(4 + text.Length)..];
    }
}
