using System.Buffers.Binary;
using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Client;

/// <summary>The meta contexts a client asks for, and the numbers the server gave them.</summary>
internal sealed class ClientContexts
{
    /// <summary>Number of base:allocation; null when the server has none.</summary>
    public uint? Allocation { get; private set; }

    /// <summary>Number of godwit:layer; null when the server is not one of ours.</summary>
    public uint? Layer { get; private set; }

    /// <summary>Data of SET_META_CONTEXT.</summary>
    public static byte[] Request(ReadOnlySpan<byte> export)
    {
        var allocation = "base:allocation"u8;
        var layer = "godwit:layer"u8;
        var request = new byte[4 + export.Length + 4 + 4 + allocation.Length + 4 + layer.Length];
        var to = Put(request, export);
        BinaryPrimitives.WriteUInt32BigEndian(to, 2);
        Put(Put(to[4..], allocation), layer);
        return request;
    }

    /// <summary>Takes a context the server agrees to. False when it is none that was asked for, or comes twice.</summary>
    public bool TryTake(NbdOptionReply type, ReadOnlySpan<byte> data)
    {
        if (type != NbdOptionReply.MetaContext || data.Length < 4)
            return false;
        var id = BinaryPrimitives.ReadUInt32BigEndian(data);
        if (id == Allocation || id == Layer)
            return false;
        if (data[4..].SequenceEqual("base:allocation"u8) && Allocation is null)
            Allocation = id;
        else if (data[4..].SequenceEqual("godwit:layer"u8) && Layer is null)
            Layer = id;
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
