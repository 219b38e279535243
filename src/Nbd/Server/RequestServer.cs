using Godwit.Nbd.Interop;
using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Nbd.Server;

/// <summary>Carries checked requests out on the device and writes or prepares their replies. Used by the connection's thread.</summary>
internal sealed class RequestServer(
    Session session, InputBuffer input, OutputBuffer output, PayloadPipe pipe, ReplyWriter replies, PendingRequests pending, CancellationToken abort)
{
    /// <summary>Data of one chunk. Smaller than the cache, so that what the device has read is sent while it is still hot,
    /// and the client works on one chunk while the next is read.</summary>
    private const int ChunkLength = PayloadPipe.MaxMoved;

    private readonly BlockDevice _device = session.Export.Device;

    /// <summary>Starts a request and answers it when the device completes at once.</summary>
    /// <param name="request">A checked request; the payload of a write follows it in the input.</param>
    /// <param name="moved">Bytes at the start of that payload that are on the device already, and not in the input.</param>
    public void Serve(in RequestHeader request, int moved)
    {
        if (request.Command == NbdCommand.Read)
        {
            Read(request);
            return;
        }

        if (request.Command == NbdCommand.BlockStatus)
        {
            Status(request);
            return;
        }

        var task = TryStartAsync(request, moved, out var failure);
        if (failure is not null)
            replies.Failure(request.Tag, failure);
        else if (task.IsCompletedSuccessfully)
            Succeed(task, request.Tag);
        else
            pending.Add(PendingKind.Plain, request.Tag, request.Command == NbdCommand.Write ? input.Buffer : null, (int)request.PayloadLength).Watch(task);
    }

    /// <summary>Answers a request the device has completed in the meantime.</summary>
    public void AnswerCompleted(PendingRequest request)
    {
        var last = request.Read is not { } read || --read.Remaining == 0;
        int count;
        try
        {
            count = request.GetResult();
        }
        catch (Exception failure)
        {
            replies.Failure(request.Tag, failure, last);
            return;
        }

        switch (request.Kind)
        {
            case PendingKind.ReadChunk:
                SendLentChunk(request, last);
                break;
            case PendingKind.Status:
                output.Send(request.Lent!, request.Start, count);
                break;
            default:
                replies.Success(request.Tag);
                break;
        }
    }

    private void Succeed(ValueTask task, ReplyTag tag)
    {
        // A pooled task source wants its result collected, or it is lost to the pool.
        task.GetAwaiter().GetResult();
        replies.Success(tag);
    }

    private ValueTask TryStartAsync(in RequestHeader request, int moved, out Exception? failure)
    {
        failure = null;
        try
        {
            return StartAsync(request, moved);
        }
        catch (Exception thrown)
        {
            failure = thrown;
            return default;
        }
    }

    private ValueTask StartAsync(in RequestHeader request, int moved)
    {
        var stable = (request.Flags & NbdCommandFlags.ForceUnitAccess) != 0;
        var flags = stable ? WriteFlags.ForceUnitAccess : WriteFlags.None;
        switch (request.Command)
        {
            case NbdCommand.Write:
                var payload = input.Buffer.Memory.Slice(input.Start + request.HeaderLength, (int)request.Length - moved);
                return _device.WriteAsync((long)request.Offset + moved, payload, flags, abort);
            case NbdCommand.Flush:
                return _device.FlushAsync(abort);
            case NbdCommand.Trim:
                var trim = _device.TrimAsync((long)request.Offset, (long)request.Length, abort);
                return stable ? ThenFlushAsync(trim) : trim;
            case NbdCommand.WriteZeroes:
                if ((request.Flags & NbdCommandFlags.NoHole) != 0)
                    flags |= WriteFlags.KeepAllocated;
                return _device.WriteZeroesAsync((long)request.Offset, (long)request.Length, flags, abort);
            case NbdCommand.Resize:
                var resize = _device.ResizeAsync((long)request.Offset, abort);
                return stable ? ThenFlushAsync(resize) : resize;
            default:
                // CACHE is a hint; the page cache needs none from us.
                return default;
        }
    }

    private async ValueTask ThenFlushAsync(ValueTask change)
    {
        await change.ConfigureAwait(false);
        await _device.FlushAsync(abort).ConfigureAwait(false);
    }

    private void Read(in RequestHeader request)
    {
        if (request.Length == 0)
        {
            replies.Empty(request.Tag);
            return;
        }

        var whole = !session.StructuredReplies || (request.Flags & NbdCommandFlags.DoNotFragment) != 0;
        var offset = request.Offset;
        var end = request.Offset + request.Length;
        PendingRead? read = null;
        while (offset < end)
        {
            var count = whole ? (int)request.Length : (int)Math.Min(ChunkLength, end - offset);
            if (!ReadChunk(request.Tag, offset, count, offset + (uint)count == end, ref read))
                return;
            offset += (uint)count;
        }
    }

    /// <summary>Sends one chunk without copying it, where the device can. False when it has to be read.</summary>
    private bool TryMoveChunk(ReplyTag tag, ulong offset, int count, bool done)
    {
        if (!pipe.Takes(count))
            return false;
        int moved;
        try
        {
            moved = _device.TryMoveToPipe((long)offset, count, pipe.In);
        }
        catch (Exception)
        {
            // Reading meets the same and can say it.
            pipe.Empty();
            return false;
        }

        if (moved == count)
        {
            replies.ReadHeader(output.Append(replies.ReadHeaderLength), tag, offset, count, done);
            output.Send(pipe, count);
        }
        else if (moved > 0)
        {
            pipe.Empty();
        }

        return moved == count;
    }

    /// <summary>Reads one chunk into its reply. False when that failed and the read is over.</summary>
    private bool ReadChunk(ReplyTag tag, ulong offset, int count, bool last, ref PendingRead? read)
    {
        if (TryMoveChunk(tag, offset, count, last && read is null))
            return true;
        var headerLength = replies.ReadHeaderLength;
        output.MakeRoom(headerLength + count);
        var start = output.Used;
        ValueTask task;
        try
        {
            task = _device.ReadAsync((long)offset, output.Buffer.Memory.Slice(start + headerLength, count), abort);
        }
        catch (Exception failure)
        {
            return Fail(tag, failure, read);
        }

        if (!task.IsCompleted)
        {
            read ??= new PendingRead();
            Lend(task, tag, offset, start, count, read);
            return true;
        }

        try
        {
            task.GetAwaiter().GetResult();
        }
        catch (Exception failure)
        {
            return Fail(tag, failure, read);
        }

        replies.ReadHeader(output.Buffer.Span(start, headerLength), tag, offset, count, last && read is null);
        output.Commit(headerLength + count);
        return true;
    }

    private bool Fail(ReplyTag tag, Exception failure, PendingRead? read)
    {
        // Chunks still pending will end the reply.
        replies.Failure(tag, failure, read is null);
        return false;
    }

    private void Lend(ValueTask task, ReplyTag tag, ulong offset, int start, int count, PendingRead read)
    {
        var length = replies.ReadHeaderLength + count;
        var chunk = pending.Add(PendingKind.ReadChunk, tag, output.Lend(length), length);
        chunk.Start = start;
        chunk.Offset = offset;
        chunk.Count = count;
        chunk.Read = read;
        read.Remaining++;
        chunk.Watch(task);
    }

    private void SendLentChunk(PendingRequest chunk, bool last)
    {
        var headerLength = replies.ReadHeaderLength;
        replies.ReadHeader(chunk.Lent!.Span(chunk.Start, headerLength), chunk.Tag, chunk.Offset, chunk.Count, last);
        output.Send(chunk.Lent, chunk.Start, headerLength + chunk.Count);
    }

    private void Status(in RequestHeader request)
    {
        if ((request.Flags & NbdCommandFlags.PayloadLength) == 0)
        {
            Status(request, session.Contexts);
            return;
        }

        var payload = input.Buffer.Span(input.Start + request.HeaderLength, (int)request.Length);
        var known = StatusFilter.TryParse(payload, session.Contexts, out var length, out var contexts);
        var range = request with { Length = length };
        var error = known ? RequestCheck.CheckFiltered(range, session) : NbdError.Invalid;
        if (error == NbdError.None)
            Status(range, contexts);
        else
            replies.Error(request.Tag, error, known ? Refusals.Reason(range, error, session) : "a context that was not agreed on, or twice");
    }

    private void Status(in RequestHeader request, StatusContexts contexts)
    {
        var room = BlockStatus.Room(contexts);
        output.MakeRoom(room);
        var start = output.Used;
        var task = BlockStatus.CollectAsync(session, request, contexts, output.Buffer.Memory.Slice(start, room), abort);
        if (!task.IsCompleted)
        {
            var status = pending.Add(PendingKind.Status, request.Tag, output.Lend(room), room);
            status.Start = start;
            status.Watch(task);
            return;
        }

        try
        {
            output.Commit(task.GetAwaiter().GetResult());
        }
        catch (Exception failure)
        {
            replies.Failure(request.Tag, failure);
        }
    }
}
