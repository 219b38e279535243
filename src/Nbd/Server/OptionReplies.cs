using System.Buffers.Binary;
using System.Text;
using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>Writes the server's side of the handshake (NBD proto.md, "Fixed newstyle negotiation").</summary>
internal sealed class OptionReplies(OutputBuffer output)
{
    private const int ZeroesAfterExportName = 124;

    public void Greeting()
    {
        var to = output.Append(18);
        BinaryPrimitives.WriteUInt64BigEndian(to, NbdMagic.Init);
        BinaryPrimitives.WriteUInt64BigEndian(to[8..], NbdMagic.Option);
        BinaryPrimitives.WriteUInt16BigEndian(to[16..], NbdMagic.FixedNewstyle | NbdMagic.NoZeroes);
    }

    public void Ack(uint option) => Header(option, NbdOptionReply.Ack, 0);

    /// <summary>Refuses an option, saying why in words.</summary>
    public void Error(uint option, NbdOptionReply error, string reason)
    {
        var length = Encoding.UTF8.GetByteCount(reason);
        Header(option, error, length);
        Encoding.UTF8.GetBytes(reason, output.Append(length));
    }

    /// <summary>Names an export of the list; what it is, for people, stands behind the name.</summary>
    public void Server(uint option, NbdExport export)
    {
        Header(option, NbdOptionReply.Server, 4 + export.NameBytes.Length + export.DescriptionBytes.Length);
        BinaryPrimitives.WriteUInt32BigEndian(output.Append(4), (uint)export.NameBytes.Length);
        export.NameBytes.CopyTo(output.Append(export.NameBytes.Length));
        export.DescriptionBytes.CopyTo(output.Append(export.DescriptionBytes.Length));
    }

    public void MetaContext(uint option, uint id, ReadOnlySpan<byte> name)
    {
        Header(option, NbdOptionReply.MetaContext, 4 + name.Length);
        BinaryPrimitives.WriteUInt32BigEndian(output.Append(4), id);
        name.CopyTo(output.Append(name.Length));
    }

    public void InfoExport(uint option, Session session)
    {
        Header(option, NbdOptionReply.Info, 12);
        var to = output.Append(12);
        BinaryPrimitives.WriteUInt16BigEndian(to, (ushort)NbdInformation.Export);
        SizeAndFlags(to[2..], session);
    }

    /// <summary>Information that is a text.</summary>
    public void InfoText(uint option, NbdInformation information, ReadOnlySpan<byte> text)
    {
        Header(option, NbdOptionReply.Info, 2 + text.Length);
        BinaryPrimitives.WriteUInt16BigEndian(output.Append(2), (ushort)information);
        text.CopyTo(output.Append(text.Length));
    }

    /// <summary>What a request is aligned to, below which size a write is dear, and how much data one request may carry.</summary>
    public void InfoBlockSize(uint option, NbdExport export)
    {
        var capabilities = export.Device.Capabilities;
        Header(option, NbdOptionReply.Info, 14);
        var to = output.Append(14);
        BinaryPrimitives.WriteUInt16BigEndian(to, (ushort)NbdInformation.BlockSize);
        BinaryPrimitives.WriteUInt32BigEndian(to[2..], (uint)capabilities.SectorSize);
        BinaryPrimitives.WriteUInt32BigEndian(to[6..], (uint)Math.Max(capabilities.PhysicalSectorSize, 4096));
        BinaryPrimitives.WriteUInt32BigEndian(to[10..], NbdMagic.MaxPayload);
    }

    /// <summary>The old way into transmission: no reply header, and no way to say no.</summary>
    public void ExportName(Session session, bool noZeroes)
    {
        var to = output.Append(noZeroes ? 10 : 10 + ZeroesAfterExportName);
        to.Clear();
        SizeAndFlags(to, session);
    }

    private static void SizeAndFlags(Span<byte> to, Session session)
    {
        BinaryPrimitives.WriteUInt64BigEndian(to, (ulong)session.Export.Device.Length);
        BinaryPrimitives.WriteUInt16BigEndian(to[8..], (ushort)session.Flags);
    }

    private void Header(uint option, NbdOptionReply type, int length)
    {
        var to = output.Append(NbdMagic.OptionReplyLength);
        BinaryPrimitives.WriteUInt64BigEndian(to, NbdMagic.OptionReply);
        BinaryPrimitives.WriteUInt32BigEndian(to[8..], option);
        BinaryPrimitives.WriteUInt32BigEndian(to[12..], (uint)type);
        BinaryPrimitives.WriteUInt32BigEndian(to[16..], (uint)length);
    }
}
