using System.Buffers.Binary;
using System.Text;
using Godwit.Fuzz.Engine;
using Godwit.Nbd.Protocol;

namespace Godwit.Fuzz.Nbd;

/// <summary>Holds what a server said against what it was asked: every option and every request is answered once, in the form agreed on, as it must
/// be, with what the device had; and nothing else is said.</summary>
/// <param name="session">What was asked; <see cref="DeviceCheck"/> has noted what became of it.</param>
/// <param name="entries">What happened on the device.</param>
/// <param name="signals">Is told what was answered.</param>
internal sealed class AnswerCheck(SessionModel session, IReadOnlyList<JournalEntry> entries, Signals signals)
{
    private readonly List<JournalEntry> _reads = [.. entries.Where(entry => entry is { Command: NbdCommand.Read, Failed: false })];
    private readonly List<JournalEntry> _failures = [.. entries.Where(entry => entry.Failed)];

    /// <summary>Who else was there; null for nobody.</summary>
    public RivalVisit? Rival { get; init; }

    /// <summary>The device had done each request before the server looked at the next.</summary>
    public bool IsPrompt { get; init; }

    /// <summary>Judges all that a client heard behind the handshake who listened to the end.</summary>
    /// <exception cref="FuzzFinding">Something is missing, wrong, or too much.</exception>
    public void Judge(ReadOnlySpan<byte> rest)
    {
        while (!rest.IsEmpty)
            rest = rest[TakeReply(rest)..];
        ExpectAllAnswered();
    }

    private void ExpectAllAnswered()
    {
        if (Rival?.Ends(session) == true)
            return;
        foreach (var request in session.Requests)
        {
            if (request is { IsComplete: true, IsAnswered: false })
                throw new FuzzFinding($"{request.Header.Command} of {request.Header.Length} bytes at {request.Header.Offset} was never answered");
        }
    }

    private int TakeReply(ReadOnlySpan<byte> rest)
    {
        var magic = rest.Length < NbdMagic.SimpleReplyLength ? 0 : BinaryPrimitives.ReadUInt32BigEndian(rest);
        var header = magic == NbdMagic.ExtendedReply ? NbdMagic.ExtendedChunkHeaderLength : NbdMagic.ChunkHeaderLength;
        var taken = magic switch
        {
            NbdMagic.SimpleReply when session.Form != NbdHeaderForm.Extended => TakeSimple(rest),
            NbdMagic.StructuredReply when session.Form == NbdHeaderForm.Structured && rest.Length >= header => TakeChunk(rest, header),
            NbdMagic.ExtendedReply when session.Form == NbdHeaderForm.Extended && rest.Length >= header => TakeChunk(rest, header),
            0 => rest.Length,
            _ => throw new FuzzFinding("something that is no reply stands where one must be"),
        };
        if (taken <= rest.Length && magic != 0)
            return taken;

        // Only who is cut off may be left with a part of an answer.
        return Rival?.Ends(session) == true ? rest.Length : throw new FuzzFinding(
            $"an answer ends in its middle: {rest.Length} of {taken} bytes, {Convert.ToHexStringLower(rest[..Math.Min(rest.Length, header)])}");
    }

    private int TakeSimple(ReadOnlySpan<byte> rest)
    {
        var error = BinaryPrimitives.ReadUInt32BigEndian(rest[4..]);
        signals.Note($"simple {error}");
        var cookie = BinaryPrimitives.ReadUInt64BigEndian(rest[8..]);
        if (error != 0)
        {
            Fail(Find(cookie, null, MayFail, $"error {error}"), done: true);
            return NbdMagic.SimpleReplyLength;
        }

        // Of requests with one number, one that is answered without data comes before a read whose data these are not.
        var request = FindTold(cookie, rest[NbdMagic.SimpleReplyLength..])
            ?? FindEmpty(cookie, null)
            ?? Find(cookie, null, asked => MaySucceed(asked) && !NeedsContent(asked), "a simple success");
        Succeed(request);
        if (!TakesData(request))
            return NbdMagic.SimpleReplyLength;
        var length = NbdMagic.SimpleReplyLength + (int)request.Header.Length;
        if (length <= rest.Length)
            ExpectRead((long)request.Header.Offset, rest[NbdMagic.SimpleReplyLength..length]);
        return length;
    }

    /// <summary>The read whose data these are. A simple reply says nothing but the number, and a later read of that number may be answered first.</summary>
    private AskedRequest? FindTold(ulong cookie, ReadOnlySpan<byte> rest)
    {
        foreach (var asked in session.Requests)
        {
            var header = asked.Header;
            if (header.Cookie != cookie || !TakesData(asked) || asked.IsAnswered || !asked.IsComplete
                || !MaySucceed(asked) || NeedsContent(asked) || header.Length > (ulong)rest.Length)
            {
                continue;
            }

            foreach (var read in _reads)
            {
                if ((ulong)read.Offset == header.Offset && read.Bytes.AsSpan().SequenceEqual(rest[..(int)header.Length]))
                    return asked;
            }
        }

        return null;
    }

    /// <summary>It cannot be answered without a chunk.</summary>
    private bool NeedsContent(AskedRequest asked) => asked.Header.Command == NbdCommand.BlockStatus
        || (TakesData(asked) && session.Form != NbdHeaderForm.Simple);

    private static bool TakesData(AskedRequest asked) => asked.Header is { Command: NbdCommand.Read, Length: > 0 };

    private int TakeChunk(ReadOnlySpan<byte> rest, int header)
    {
        var done = (BinaryPrimitives.ReadUInt16BigEndian(rest[4..]) & 1) != 0;
        var kind = (NbdChunk)BinaryPrimitives.ReadUInt16BigEndian(rest[6..]);
        var cookie = BinaryPrimitives.ReadUInt64BigEndian(rest[8..]);
        ulong? offset = header == NbdMagic.ExtendedChunkHeaderLength ? BinaryPrimitives.ReadUInt64BigEndian(rest[16..]) : null;
        var length = offset is null ? BinaryPrimitives.ReadUInt32BigEndian(rest[16..]) : BinaryPrimitives.ReadUInt64BigEndian(rest[24..]);
        if (length > NbdMagic.MaxPayload + 64)
            throw new FuzzFinding($"a chunk of {length} bytes");
        signals.Note($"chunk {done} {kind}");
        var end = header + (int)length;
        if (end > rest.Length)
            return end;
        var content = rest[header..end];
        switch (kind)
        {
            case NbdChunk.None when length == 0 && done:
                Succeed(FindEmpty(cookie, offset) ?? Find(cookie, offset, asked => MaySucceed(asked) && !NeedsContent(asked), "a success without content"));
                break;
            case NbdChunk.OffsetData when length > 8:
                TakeData(cookie, offset, content, done);
                break;
            case NbdChunk.BlockStatus or NbdChunk.BlockStatusExtended:
                TakeStatus(Find(cookie, offset, asked => MaySucceed(asked) && asked.Header.Command == NbdCommand.BlockStatus, "a block status"), content, done);
                break;
            case NbdChunk.Error when length >= 6 && BinaryPrimitives.ReadUInt32BigEndian(content) != 0 && BinaryPrimitives.ReadUInt16BigEndian(content[4..]) == length - 6:
                Fail(Find(cookie, offset, MayFail, $"\"{Encoding.UTF8.GetString(content[6..])}\""), done);
                break;
            default:
                throw new FuzzFinding($"a chunk of type {(int)kind} and {length} bytes");
        }

        return end;
    }

    private void TakeData(ulong cookie, ulong? tag, ReadOnlySpan<byte> content, bool done)
    {
        var offset = BinaryPrimitives.ReadUInt64BigEndian(content);
        var length = (ulong)content.Length - 8;
        var request = Find(cookie, tag, Takes, $"{length} bytes from {offset}");
        ExpectRead((long)offset, content[8..]);
        request.Received += (long)length;
        if (done && !request.HasError && !TrySettle(request))
            throw new FuzzFinding($"a read of {request.Header.Length} bytes was answered with {request.Received}");
        if (done)
            Succeed(request);

        bool Takes(AskedRequest asked) => asked.Header.Command == NbdCommand.Read && asked.Verdict != Verdict.Refused
            && offset >= asked.Header.Offset && offset + length <= asked.Header.Offset + asked.Header.Length
            && (ulong)asked.Received + length <= asked.Header.Length;
    }

    /// <summary>Whether a read has all its data. Between reads alike in number and range it cannot be told whose chunk came first.</summary>
    private bool TrySettle(AskedRequest request)
    {
        var missing = (long)request.Header.Length - request.Received;
        foreach (var twin in session.Requests)
        {
            if (ReferenceEquals(twin, request) || twin.IsAnswered || twin.Header != request.Header)
                continue;
            var taken = Math.Min(missing, twin.Received);
            (twin.Received, request.Received, missing) = (twin.Received - taken, request.Received + taken, missing - taken);
        }

        return missing == 0;
    }

    /// <summary>The device has been read there, once for each time it is told, and that is what it said.</summary>
    private void ExpectRead(long offset, ReadOnlySpan<byte> content)
    {
        var seen = false;
        for (var index = 0; index < _reads.Count; index++)
        {
            var read = _reads[index];
            if (read.Offset != offset || read.Length != content.Length)
                continue;
            seen = true;
            if (content.SequenceEqual(read.Bytes))
            {
                _reads.RemoveAt(index);
                return;
            }

            // What was read at the same place is told in the same order, if the device answers at once.
            if (IsPrompt)
                break;
        }

        throw new FuzzFinding(seen ? $"{content.Length} bytes at {offset} are not what the device has there" : $"{content.Length} bytes at {offset} are told that were not read");
    }

    private void TakeStatus(AskedRequest request, ReadOnlySpan<byte> content, bool done)
    {
        new StatusCheck(session, request, Rival).Judge(content);
        if (!done)
            return;
        if (request.Told != request.Contexts)
            throw new FuzzFinding($"a block status tells contexts {request.Told} of {request.Contexts}");
        Succeed(request);
    }

    // Where the order of the effects says nothing, of two requests for the same range either may be the one that failed.
    private bool MaySucceed(AskedRequest asked) => asked.Verdict != Verdict.Refused && !asked.HasError && !(asked.HasFailed && IsPrompt);

    private bool MayFail(AskedRequest asked) => asked.Verdict != Verdict.Served || asked.HasFailed
        || ((!IsPrompt || asked.Header.Command == NbdCommand.Read) && _failures.Exists(failure => failure.Command == asked.Header.Command
            && (ulong)failure.Offset >= asked.Header.Offset && (ulong)failure.Offset - asked.Header.Offset < asked.Header.Length));

    /// <summary>The first request of that number that is not answered and that the answer fits.</summary>
    private AskedRequest Find(ulong cookie, ulong? offset, Func<AskedRequest, bool> fits, string what)
    {
        if (TryFind(cookie, offset, fits) is { } found)
            return found;
        var named = TryFind(cookie, offset, static _ => true)
            ?? session.Requests.FirstOrDefault(request => IsNamed(request, cookie, offset));
        throw new FuzzFinding(named switch
        {
            null => "an answer to a request that was not made",
            { IsAnswered: true } => "a request was answered more often than it was made",
            _ => $"{what} is the answer to {named.Header.Command} of {named.Header.Length} bytes at {named.Header.Offset}, which {Expectation(named)}",
        });
    }

    /// <summary>Who is told of a success without data: of requests with one number rather one that the device did not fail.</summary>
    private AskedRequest? FindEmpty(ulong cookie, ulong? offset)
    {
        return TryFind(cookie, offset, asked => IsFit(asked) && !asked.HasFailed) ?? TryFind(cookie, offset, IsFit);

        bool IsFit(AskedRequest asked) => MaySucceed(asked) && !NeedsContent(asked) && !TakesData(asked);
    }

    private AskedRequest? TryFind(ulong cookie, ulong? offset, Func<AskedRequest, bool> fits) =>
        session.Requests.FirstOrDefault(request => IsNamed(request, cookie, offset) && !request.IsAnswered && fits(request));

    private static bool IsNamed(AskedRequest request, ulong cookie, ulong? offset) =>
        request.Header.Cookie == cookie && request.IsComplete && (offset is not { } tag || tag == request.Header.Offset);

    private static string Expectation(AskedRequest asked) => asked.HasFailed ? "the device failed" : asked.Verdict switch
    {
        Verdict.Served => "is to be served",
        Verdict.Refused => "is to be refused",
        _ => "can be answered in two ways, but not in this one",
    };

    private static void Fail(AskedRequest request, bool done)
    {
        request.HasError = true;
        request.IsAnswered = done;
    }

    private void Succeed(AskedRequest request)
    {
        request.IsAnswered = true;
        request.Succeeded = !request.HasError;
        if (request is { Succeeded: true, IsChange: true } && (IsPrompt || !request.HasFailed) && request.Done != (long)request.Header.Length)
            throw new FuzzFinding($"{request.Header.Command} of {request.Header.Length} bytes at {request.Header.Offset} was acknowledged, and {request.Done} bytes are on the device");
        if (request.Succeeded && request.Header.Command == NbdCommand.Resize && !request.HasGrown)
            throw new FuzzFinding($"growth to {request.Header.Offset} bytes was acknowledged, and the device has not grown");
    }
}
