using System.Buffers.Binary;
using Godwit.Fuzz.Engine;
using Godwit.Nbd.Protocol;

namespace Godwit.Fuzz.Nbd;

/// <summary>Reads what a server said and holds it against what it was asked: every answer belongs to a request, and none is
/// answered more often than it was made.</summary>
internal static class AnswerCheck
{
    private const int GreetingLength = 18;
    private const int MaxChunk = NbdMagic.MaxPayload + 64;

    /// <summary>Judges a session.</summary>
    /// <exception cref="FuzzFinding">An answer to nothing.</exception>
    public static void Judge(ReadOnlySpan<byte> sent, ReadOnlySpan<byte> answers, Signals signals)
    {
        if (answers.Length < GreetingLength)
            return;
        var rest = Options(sent, answers[GreetingLength..], signals);
        var left = Requests(sent);
        while (rest.Length >= NbdMagic.SimpleReplyLength)
        {
            var taken = BinaryPrimitives.ReadUInt32BigEndian(rest) switch
            {
                NbdMagic.StructuredReply => Chunk(rest, NbdMagic.ChunkHeaderLength, left, signals),
                NbdMagic.ExtendedReply => Chunk(rest, NbdMagic.ExtendedChunkHeaderLength, left, signals),
                NbdMagic.SimpleReply => Simple(rest, left, signals),
                _ => throw new FuzzFinding("something that is no reply stands where one must be"),
            };
            // A read of a length that is not sure, or a part of an answer that the hang-up cut off.
            if (taken < 0 || taken > rest.Length)
                return;
            rest = rest[taken..];
        }
    }

    private static ReadOnlySpan<byte> Options(ReadOnlySpan<byte> sent, ReadOnlySpan<byte> rest, Signals signals)
    {
        while (rest.Length >= NbdMagic.OptionReplyLength && BinaryPrimitives.ReadUInt64BigEndian(rest) == NbdMagic.OptionReply)
        {
            var option = rest[8..12];
            var kind = BinaryPrimitives.ReadUInt32BigEndian(rest[12..]);
            var length = BinaryPrimitives.ReadInt32BigEndian(rest[16..]);
            if (length is < 0 or > 64 << 10)
                throw new FuzzFinding($"an answer of {length} bytes to an option");
            if (sent.IndexOf(option) < 0)
                throw new FuzzFinding("an answer to an option that was not sent");
            signals.Note($"option {BinaryPrimitives.ReadUInt32BigEndian(option)} {kind}");
            if (length > rest.Length - NbdMagic.OptionReplyLength)
                return [];
            rest = rest[(NbdMagic.OptionReplyLength + length)..];
            if (BinaryPrimitives.ReadUInt32BigEndian(option) == (uint)NbdOption.Go && kind == (uint)NbdOptionReply.Ack)
                return rest;
        }

        // The old way to name an export has an answer without a head, with or without 124 zeroes.
        return rest.Length < 10 || BinaryPrimitives.ReadInt64BigEndian(rest) is not (SessionScript.DiskSize or SessionScript.OtherSize) ? rest
            : rest.Length >= 134 && rest[10..134].IndexOfAnyExcept((byte)0) < 0 ? rest[134..]
            : rest[10..];
    }

    private static int Chunk(ReadOnlySpan<byte> rest, int header, Dictionary<ulong, Asked> left, Signals signals)
    {
        if (rest.Length < header)
            return -1;
        var flags = BinaryPrimitives.ReadUInt16BigEndian(rest[4..]);
        var kind = BinaryPrimitives.ReadUInt16BigEndian(rest[6..]);
        var length = header == NbdMagic.ChunkHeaderLength
            ? BinaryPrimitives.ReadUInt32BigEndian(rest[16..])
            : BinaryPrimitives.ReadUInt64BigEndian(rest[24..]);
        if (length > MaxChunk)
            throw new FuzzFinding($"a chunk of {length} bytes");
        signals.Note($"chunk {flags} {kind}");
        Answered(BinaryPrimitives.ReadUInt64BigEndian(rest[8..]), done: (flags & 1) != 0, left);
        return header + (int)length;
    }

    private static int Simple(ReadOnlySpan<byte> rest, Dictionary<ulong, Asked> left, Signals signals)
    {
        var error = BinaryPrimitives.ReadUInt32BigEndian(rest[4..]);
        signals.Note($"simple {error}");
        var asked = Answered(BinaryPrimitives.ReadUInt64BigEndian(rest[8..]), done: true, left);
        return error != 0 || !asked.Reads ? NbdMagic.SimpleReplyLength
            : asked.Count == 0 ? NbdMagic.SimpleReplyLength + asked.ReadLength
            : -1;
    }

    private static Asked Answered(ulong cookie, bool done, Dictionary<ulong, Asked> left)
    {
        if (!left.TryGetValue(cookie, out var asked))
            throw new FuzzFinding("an answer to a request that was not made");
        if (asked.Count == 0)
            throw new FuzzFinding("a request was answered more often than it was made");
        var after = done ? asked with { Count = asked.Count - 1 } : asked;
        left[cookie] = after;
        return after;
    }

    /// <summary>Whatever in the bytes could be a request; payload that looks like one counts as well.</summary>
    private static Dictionary<ulong, Asked> Requests(ReadOnlySpan<byte> sent)
    {
        var found = new Dictionary<ulong, Asked>();
        for (var at = 0; at + NbdMagic.RequestLength <= sent.Length; at++)
        {
            if (RequestHeader.TryParse(sent[at..], extended: false, out var request)
                || (at + NbdMagic.ExtendedRequestLength <= sent.Length && RequestHeader.TryParse(sent[at..], extended: true, out request)))
            {
                found.TryGetValue(request.Cookie, out var before);
                var reads = request.Command == NbdCommand.Read;
                found[request.Cookie] = new Asked(before.Count + 1, before.Reads || reads, reads ? (int)Math.Min(request.Length, MaxChunk) : 0);
            }
        }

        return found;
    }

    /// <summary>Requests under one cookie that are still to be answered.</summary>
    private readonly record struct Asked(int Count, bool Reads, int ReadLength);
}
