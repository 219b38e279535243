using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Godwit.Nbd.Protocol;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>A client that sends exactly the bytes a test wants, and waits for nothing longer than ten seconds.</summary>
internal sealed class RawClient : IDisposable
{
    public RawClient(EndPoint server)
    {
        Socket = new Socket(server.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        Socket.Connect(server);
        Socket.ReceiveTimeout = 10_000;
        Socket.SendTimeout = 10_000;
    }

    public Socket Socket { get; }

    /// <summary>What <see cref="Go(string, NbdHeaderForm, string[])"/> agreed on.</summary>
    public NbdHeaderForm Form { get; private set; }

    public static byte[] Option(uint option, ReadOnlySpan<byte> data)
    {
        var bytes = new byte[16 + data.Length];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, NbdMagic.Option);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(8), option);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(12), (uint)data.Length);
        data.CopyTo(bytes.AsSpan(16));
        return bytes;
    }

    public static byte[] Request(
        NbdCommand command, ulong offset, ulong length, ulong cookie = 1, NbdCommandFlags flags = NbdCommandFlags.None,
        byte[]? payload = null, bool extended = false)
    {
        if (extended && command == NbdCommand.Write)
            flags |= NbdCommandFlags.PayloadLength;
        var header = new RequestHeader(flags, command, cookie, offset, length, extended);
        var bytes = new byte[header.HeaderLength + (payload?.Length ?? 0)];
        header.Write(bytes);
        payload?.CopyTo(bytes, header.HeaderLength);
        return bytes;
    }

    /// <summary>Data of INFO or GO.</summary>
    public static byte[] GoText(string export, params ushort[] information)
    {
        using var text = new MemoryStream();
        text.Write(Text(export));
        text.Write(Big16((ushort)information.Length));
        foreach (var kind in information)
            text.Write(Big16(kind));
        return text.ToArray();
    }

    /// <summary>Data of LIST_META_CONTEXT or SET_META_CONTEXT.</summary>
    public static byte[] ContextText(string export, params string[] queries)
    {
        using var text = new MemoryStream();
        text.Write(Text(export));
        text.Write(Big32((uint)queries.Length));
        foreach (var query in queries)
            text.Write(Text(query));
        return text.ToArray();
    }

    public static byte[] Text(string value) => [.. Big32((uint)Encoding.UTF8.GetByteCount(value)), .. Encoding.UTF8.GetBytes(value)];

    public static byte[] Big16(ushort value) => [(byte)(value >> 8), (byte)value];

    public static byte[] Big32(uint value) => [(byte)(value >> 24), (byte)(value >> 16), (byte)(value >> 8), (byte)value];

    /// <summary>All a client sends to get into transmission with structured replies and base:allocation.</summary>
    public static byte[] HandshakeBytes(string export = "disk", NbdHeaderForm form = NbdHeaderForm.Structured) =>
    [
        .. Big32(3),
        .. form != NbdHeaderForm.Simple ? Option(OptionOf(form), []) : [],
        .. form != NbdHeaderForm.Simple ? Option(10, ContextText(export, "base:allocation", "godwit:layer")) : [],
        .. Option(7, GoText(export)),
    ];

    public void Send(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
            bytes = bytes[Socket.Send(bytes)..];
    }

    public byte[] Receive(int count)
    {
        var bytes = new byte[count];
        for (var at = 0; at < count;)
        {
            var received = Socket.Receive(bytes, at, count - at, SocketFlags.None);
            Assert.True(received > 0, $"the server hung up after {at} of {count} bytes");
            at += received;
        }

        return bytes;
    }

    /// <summary>Everything up to the server's hang-up.</summary>
    public byte[] ReceiveToEnd()
    {
        using var all = new MemoryStream();
        var bytes = new byte[64 << 10];
        try
        {
            for (int received; (received = Socket.Receive(bytes)) > 0;)
                all.Write(bytes, 0, received);
        }
        catch (SocketException failure) when (failure.SocketErrorCode == SocketError.ConnectionReset)
        {
            // Hung up on while something of ours was still unread: an end like any other.
        }

        return all.ToArray();
    }

    public (uint Type, byte[] Data) ReceiveOptionReply(uint option)
    {
        var header = Receive(20);
        Assert.Equal(NbdMagic.OptionReply, BinaryPrimitives.ReadUInt64BigEndian(header));
        Assert.Equal(option, BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(8)));
        return (BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(12)), Receive(BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(16))));
    }

    /// <summary>Takes the greeting and sends the client's flags.</summary>
    public void Greet(uint flags = 3)
    {
        var greeting = Receive(18);
        Assert.Equal("NBDMAGICIHAVEOPT", Encoding.ASCII.GetString(greeting, 0, 16));
        Assert.Equal(3, BinaryPrimitives.ReadUInt16BigEndian(greeting.AsSpan(16)));
        Send(Big32(flags));
    }

    /// <summary>Sends an option and returns the replies up to the last one.</summary>
    public List<(uint Type, byte[] Data)> Ask(uint option, ReadOnlySpan<byte> data)
    {
        Send(Option(option, data));
        var replies = new List<(uint Type, byte[] Data)>();
        do
            replies.Add(ReceiveOptionReply(option));
        while (replies[^1].Type is not 1 and < 1u << 31);
        return replies;
    }

    /// <summary>The usual way into transmission.</summary>
    public RawClient Go(string export = "disk", bool structured = true) =>
        Go(export, structured ? NbdHeaderForm.Structured : NbdHeaderForm.Simple);

    /// <summary>The usual way into transmission, in a form and with contexts; base:allocation when none are named.</summary>
    public RawClient Go(string export, NbdHeaderForm form, params string[] contexts)
    {
        Greet();
        if (form != NbdHeaderForm.Simple)
        {
            Assert.Equal(1u, Ask(OptionOf(form), [])[^1].Type);
            Assert.Equal(1u, Ask(10, ContextText(export, contexts is [] ? ["base:allocation"] : contexts))[^1].Type);
        }

        Assert.Equal(1u, Ask(7, GoText(export, 3))[^1].Type);
        Form = form;
        return this;
    }

    /// <summary>Sends one request and returns its whole reply.</summary>
    public Reply Ask(
        NbdCommand command, ulong offset = 0, ulong length = 0, NbdCommandFlags flags = NbdCommandFlags.None, byte[]? payload = null)
    {
        Send(Request(command, offset, length, 77, flags, payload, Form == NbdHeaderForm.Extended));
        var reply = ReceiveReply(command == NbdCommand.Read ? (uint)length : 0, offset);
        Assert.Equal(77ul, reply.Cookie);
        return reply;
    }

    /// <summary>Receives one reply with all its chunks.</summary>
    /// <param name="simpleData">Bytes of data that follow a simple reply without an error.</param>
    /// <param name="offset">What the request asked for; extended replies repeat it.</param>
    public Reply ReceiveReply(uint simpleData = 0, ulong? offset = null)
    {
        var header = Receive(16);
        var cookie = BinaryPrimitives.ReadUInt64BigEndian(header.AsSpan(8));
        if (BinaryPrimitives.ReadUInt32BigEndian(header) == NbdMagic.SimpleReply)
        {
            var error = BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(4));
            return new Reply(cookie, (NbdError)error, error == 0 ? Receive((int)simpleData) : [], []);
        }

        return ReceiveChunks(header, cookie, offset);
    }

    public void Dispose() => Socket.Dispose();

    private static uint OptionOf(NbdHeaderForm form) => form == NbdHeaderForm.Extended ? 11u : 8u;

    private int ReceiveChunkLength(ulong? offset)
    {
        if (Form != NbdHeaderForm.Extended)
            return BinaryPrimitives.ReadInt32BigEndian(Receive(4));
        var rest = Receive(16);
        if (offset is { } asked)
            Assert.Equal(asked, BinaryPrimitives.ReadUInt64BigEndian(rest));
        return checked((int)BinaryPrimitives.ReadInt64BigEndian(rest.AsSpan(8)));
    }

    private Reply ReceiveChunks(byte[] header, ulong cookie, ulong? offset)
    {
        var reply = new Reply(cookie, NbdError.None, [], []);
        using var data = new MemoryStream();
        while (true)
        {
            Assert.Equal(Form == NbdHeaderForm.Extended ? NbdMagic.ExtendedReply : NbdMagic.StructuredReply, BinaryPrimitives.ReadUInt32BigEndian(header));
            Assert.Equal(cookie, BinaryPrimitives.ReadUInt64BigEndian(header.AsSpan(8)));
            var type = (NbdChunk)BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(6));
            var body = Receive(ReceiveChunkLength(offset));
            reply.Chunks.Add((type, body));
            if ((type & NbdChunk.ErrorBit) != 0)
                reply = reply with { Error = (NbdError)BinaryPrimitives.ReadUInt32BigEndian(body) };
            else if (type == NbdChunk.OffsetData)
                data.Write(body.AsSpan(8));
            if ((BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(4)) & 1) != 0)
                return reply with { Data = data.ToArray() };
            header = Receive(16);
        }
    }
}

/// <summary>A reply put together again.</summary>
internal sealed record Reply(ulong Cookie, NbdError Error, byte[] Data, List<(NbdChunk Type, byte[] Body)> Chunks);
