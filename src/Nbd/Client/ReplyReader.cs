using System.Buffers.Binary;
using System.Text;
using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Nbd.Client;

/// <summary>
/// Reads replies and hands them to their requests. A server may send anything: every length, offset and number is checked
/// against the request it claims to answer, and the first thing that does not fit ends the connection.
/// </summary>
internal sealed class ReplyReader(ClientStream stream, RequestTable table, ClientSession session)
{
    private const int MaxMessage = 4096;
    private const int MaxStatusLength = 1 << 20;

    private readonly byte[] _header = new byte[NbdMagic.ExtendedChunkHeaderLength];
    private readonly int _chunkRest =
        (session.ExtendedHeaders ? NbdMagic.ExtendedChunkHeaderLength : NbdMagic.ChunkHeaderLength) - NbdMagic.SimpleReplyLength;

    private readonly byte[] _small = new byte[16];
    private readonly byte[] _dropped = new byte[16 << 10];

    /// <summary>Reads one reply or chunk.</summary>
    /// <exception cref="StorageException">The connection broke, or the server broke the protocol.</exception>
    public async ValueTask ReadOneAsync(CancellationToken cancellationToken)
    {
        await stream.ReadAsync(_header.AsMemory(0, NbdMagic.SimpleReplyLength), cancellationToken).ConfigureAwait(false);
        var magic = BinaryPrimitives.ReadUInt32BigEndian(_header);
        if (magic != (session.ExtendedHeaders ? NbdMagic.ExtendedReply : NbdMagic.StructuredReply))
        {
            // With extended headers there are no simple replies.
            if (magic != NbdMagic.SimpleReply || session.ExtendedHeaders)
                throw Broken($"a reply starts with 0x{magic:x8}");
            await ReadSimpleAsync(Find(BinaryPrimitives.ReadUInt64BigEndian(_header.AsSpan(8))), cancellationToken).ConfigureAwait(false);
            return;
        }

        if (!session.StructuredReplies)
            throw Broken($"a reply starts with 0x{magic:x8}");
        await stream.ReadAsync(_header.AsMemory(NbdMagic.SimpleReplyLength, _chunkRest), cancellationToken).ConfigureAwait(false);
        await ReadChunkAsync(Find(BinaryPrimitives.ReadUInt64BigEndian(_header.AsSpan(8))), cancellationToken).ConfigureAwait(false);
    }

    private ClientRequest Find(ulong cookie) =>
        table.Find(cookie) ?? throw Broken($"a reply to a request that was never sent (cookie 0x{cookie:x})");

    private async ValueTask ReadSimpleAsync(ClientRequest request, CancellationToken cancellationToken)
    {
        var error = BinaryPrimitives.ReadUInt32BigEndian(_header.AsSpan(4));
        var command = request.Header.Command;
        if (error != 0)
            request.Error ??= Failed(request, error, null);
        else if (command == NbdCommand.BlockStatus || (command == NbdCommand.Read && session.StructuredReplies))
            throw Broken($"a simple reply to {command}");
        else if (command == NbdCommand.Read)
            await ReadDataAsync(request, 0, (int)request.Header.Length, cancellationToken).ConfigureAwait(false);
        table.Complete(request);
    }

    private async ValueTask ReadChunkAsync(ClientRequest request, CancellationToken cancellationToken)
    {
        var done = (BinaryPrimitives.ReadUInt16BigEndian(_header.AsSpan(4)) & 1) != 0;
        var type = (NbdChunk)BinaryPrimitives.ReadUInt16BigEndian(_header.AsSpan(6));
        var length = LengthOfChunk(request);
        if ((type & NbdChunk.ErrorBit) != 0)
            await ReadErrorAsync(request, length, cancellationToken).ConfigureAwait(false);
        else
            await ReadContentAsync(request, type, length, done, cancellationToken).ConfigureAwait(false);
        if (done)
            Finish(request);
    }

    private uint LengthOfChunk(ClientRequest request)
    {
        if (!session.ExtendedHeaders)
            return BinaryPrimitives.ReadUInt32BigEndian(_header.AsSpan(16));
        var offset = BinaryPrimitives.ReadUInt64BigEndian(_header.AsSpan(16));
        if (offset != request.Header.Offset)
            throw Broken($"a reply to offset {offset} for a request at {request.Header.Offset}");
        var length = BinaryPrimitives.ReadUInt64BigEndian(_header.AsSpan(24));
        return length <= NbdMagic.MaxPayload + 8 ? (uint)length : throw Broken($"a chunk of {length} bytes");
    }

    private async ValueTask ReadContentAsync(
        ClientRequest request, NbdChunk type, uint length, bool done, CancellationToken cancellationToken)
    {
        var command = request.Header.Command;
        switch (type)
        {
            case NbdChunk.None when length == 0 && done:
                break;
            case NbdChunk.OffsetData when command == NbdCommand.Read && length > 8:
                await ReadSmallAsync(8, cancellationToken).ConfigureAwait(false);
                var position = PositionOf(request, length - 8);
                await ReadDataAsync(request, position, (int)(length - 8), cancellationToken).ConfigureAwait(false);
                break;
            case NbdChunk.OffsetHole when command == NbdCommand.Read && length == 12:
                await ReadSmallAsync(12, cancellationToken).ConfigureAwait(false);
                var count = BinaryPrimitives.ReadUInt32BigEndian(_small.AsSpan(8));
                Zero(request, PositionOf(request, count), (int)count);
                break;
            case NbdChunk.BlockStatus when command == NbdCommand.BlockStatus && !session.ExtendedHeaders && length % 8 == 4 && IsStatusLength(length):
            case NbdChunk.BlockStatusExtended when command == NbdCommand.BlockStatus && session.ExtendedHeaders && length % 16 == 8 && IsStatusLength(length):
                await ReadStatusAsync(request, (int)length, cancellationToken).ConfigureAwait(false);
                break;
            default:
                throw Broken($"a chunk of type {(ushort)type} and {length} bytes in the reply to {command}");
        }
    }

    private void Finish(ClientRequest request)
    {
        var missing = request.Header.Command switch
        {
            NbdCommand.Read => (ulong)request.Received != request.Header.Length,
            NbdCommand.BlockStatus => (session.Contexts.Allocation is not null && request.Extent is null)
                || (session.Contexts.Layer is not null && request.LayerRun is null)
                || (session.Contexts.Changes is not null && request.Changes is null),
            _ => false,
        };
        if (missing && request.Error is null)
            throw Broken($"the reply to {request.Header.Command} ended before all of it had come");
        if (request is { Extent: { } extent, LayerRun: { } run })
            request.Extent = extent with { Length = Math.Min(extent.Length, run.Length), Layer = run.Layer };
        table.Complete(request);
    }

    /// <summary>Where in the buffer a chunk goes whose offset is in the small buffer.</summary>
    private int PositionOf(ClientRequest request, uint count)
    {
        var offset = BinaryPrimitives.ReadUInt64BigEndian(_small);
        var (start, length) = (request.Header.Offset, request.Header.Length);
        if (count == 0 || offset < start || offset - start > length || count > length - (offset - start))
            throw Broken($"a chunk of {count} bytes at offset {offset} for a read of {length} bytes at {start}");

        // More bytes than asked for in sum means that chunks overlap, and then some other part never comes.
        if (count > length - (ulong)request.Received)
            throw Broken($"chunks that overlap in the reply to a read of {length} bytes at {start}");
        return (int)(offset - start);
    }

    private async ValueTask ReadDataAsync(ClientRequest request, int position, int count, CancellationToken cancellationToken)
    {
        request.Received += count;
        if (!table.TryEnterBuffer(request))
        {
            await DropAsync(count, cancellationToken).ConfigureAwait(false);
            return;
        }

        try
        {
            await stream.ReadAsync(request.Buffer.Slice(position, count), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            table.LeaveBuffer(request);
        }
    }

    private void Zero(ClientRequest request, int position, int count)
    {
        request.Received += count;
        if (!table.TryEnterBuffer(request))
            return;
        request.Buffer.Span.Slice(position, count).Clear();
        table.LeaveBuffer(request);
    }

    private async ValueTask ReadStatusAsync(ClientRequest request, int length, CancellationToken cancellationToken)
    {
        var data = new byte[length];
        await stream.ReadAsync(data, cancellationToken).ConfigureAwait(false);
        var start = session.ExtendedHeaders ? 8 : 4;
        if (session.ExtendedHeaders && BinaryPrimitives.ReadUInt32BigEndian(data.AsSpan(4)) != (length - start) / 16)
            throw Broken("a block status whose number of extents does not fit its length");
        var context = BinaryPrimitives.ReadUInt32BigEndian(data);
        if (context == session.Contexts.Allocation && request.Extent is null)
            request.Extent = StatusReply.FirstRun(data.AsSpan(start), request.Header, session.MinBlock) ?? throw Broken("a block status with an empty extent");
        else if (context == session.Contexts.Layer && request.LayerRun is null)
            request.LayerRun = StatusReply.FirstLayer(data.AsSpan(start), request.Header, session.MinBlock) ?? throw Broken("a run of no layer that can be");
        else if (context == session.Contexts.Changes && request.Changes is null)
            request.Changes = StatusReply.FirstChange(data.AsSpan(start), request.Header, session.MinBlock) ?? throw Broken("an empty run of changes");
        else
            throw Broken("a block status of a context that was not asked for, or twice");
    }

    private async ValueTask ReadErrorAsync(ClientRequest request, uint length, CancellationToken cancellationToken)
    {
        if (length < 6 || length > MaxMessage + 14)
            throw Broken($"an error chunk of {length} bytes");
        var data = new byte[length];
        await stream.ReadAsync(data, cancellationToken).ConfigureAwait(false);
        var error = BinaryPrimitives.ReadUInt32BigEndian(data);
        var messageLength = BinaryPrimitives.ReadUInt16BigEndian(data.AsSpan(4));
        if (error == 0 || messageLength > length - 6)
            throw Broken("an error chunk without an error, or with a message longer than itself");
        request.Error ??= Failed(request, error, Encoding.UTF8.GetString(data, 6, messageLength));
    }

    private bool IsStatusLength(uint length) => length >= (session.ExtendedHeaders ? 24 : 12) && length <= MaxStatusLength;

    private ValueTask ReadSmallAsync(int count, CancellationToken cancellationToken) =>
        stream.ReadAsync(_small.AsMemory(0, count), cancellationToken);

    private async ValueTask DropAsync(int count, CancellationToken cancellationToken)
    {
        for (; count > 0; count -= Math.Min(count, _dropped.Length))
            await stream.ReadAsync(_dropped.AsMemory(0, Math.Min(count, _dropped.Length)), cancellationToken).ConfigureAwait(false);
    }

    private StorageException Failed(ClientRequest request, uint error, string? message) => new(
        NbdErrors.ToKind(error),
        string.IsNullOrEmpty(message) ? $"the NBD server answered with error {error}" : $"the NBD server answered: {message}",
        stream.Path,
        (long)request.Header.Offset,
        request.Header.Command.ToString());

    private StorageException Broken(string what) => new(StorageErrorKind.IoFailed, $"the NBD server broke the protocol: {what}", stream.Path);
}
