using System.Buffers.Binary;
using System.Numerics;
using Godwit.Nbd.Protocol;

namespace Godwit.Fuzz.Nbd;

/// <content>The requests.</content>
internal sealed partial class SessionModel
{
    private const int Sector = 512;
    private const ulong MaxSkipped = 64 << 20;

    // The size is one of these while growth may be under way.
    private long _length;
    private long _maxLength;
    private uint _contexts;
    private bool _hasGrown;

    private bool Extended => Form == NbdHeaderForm.Extended;

    private void ReadRequests()
    {
        var length = RequestHeader.LengthOf(Extended);
        while (_sent.Length - _at >= length && RequestHeader.TryParse(_sent.Span[_at..], Extended, out var header) && header.Command != NbdCommand.Disconnect)
        {
            _at += length;
            var payload = _sent.Slice(_at, (int)Math.Min(header.PayloadLength, (ulong)(_sent.Length - _at)));
            var request = Judge(header, payload);
            if (request.Verdict == Verdict.Refused && header.PayloadLength > MaxSkipped)
                return;
            Requests.Add(request);
            if (!request.IsComplete)
                return;
            _at += payload.Length;
        }
    }

    private AskedRequest Judge(RequestHeader header, ReadOnlyMemory<byte> payload)
    {
        if ((header.Flags & ~AllowedFlags(header.Command)) != 0 || header.Command > NbdCommand.Resize
            || (header.Command == NbdCommand.BlockStatus && _contexts == 0))
        {
            return new AskedRequest(header, payload, Verdict.Refused);
        }

        return header.Command switch
        {
            NbdCommand.Flush => new AskedRequest(header, payload, header is { Offset: 0, Length: 0 } ? Verdict.Served : Verdict.Refused),
            NbdCommand.Resize => new AskedRequest(header, payload, JudgeGrowth(header)),
            NbdCommand.Read or NbdCommand.Write when header.Length > NbdMagic.MaxPayload => new AskedRequest(header, payload, Verdict.Refused),
            NbdCommand.BlockStatus when header.PayloadLength > 0 => JudgeFiltered(header, payload),
            NbdCommand.BlockStatus => new AskedRequest(
                header, payload, header.Length == 0 ? Verdict.Refused : JudgeRange(header.Offset, header.Length))
            { Contexts = _contexts },
            NbdCommand.WriteZeroes when (header.Flags & (NbdCommandFlags.FastZero | NbdCommandFlags.NoHole)) == (NbdCommandFlags.FastZero | NbdCommandFlags.NoHole) =>
                new AskedRequest(header, payload, Verdict.Refused),
            _ => new AskedRequest(header, payload, JudgeRange(header.Offset, header.Length)),
        };
    }

    private NbdCommandFlags AllowedFlags(NbdCommand command) => NbdCommandFlags.ForceUnitAccess | command switch
    {
        NbdCommand.Read when Form != NbdHeaderForm.Simple => NbdCommandFlags.DoNotFragment,
        NbdCommand.Write when Extended => NbdCommandFlags.PayloadLength,
        NbdCommand.WriteZeroes => NbdCommandFlags.NoHole | NbdCommandFlags.FastZero,
        NbdCommand.BlockStatus when _contexts != 0 => NbdCommandFlags.RequestOne | (Extended ? NbdCommandFlags.PayloadLength : 0),
        _ => NbdCommandFlags.None,
    };

    private Verdict JudgeRange(ulong offset, ulong length)
    {
        if (offset % Sector != 0 || length % Sector != 0 || !IsInside(_maxLength))
            return Verdict.Refused;
        return IsInside(_length) ? Verdict.Served : Verdict.Either;

        bool IsInside(long size) => offset <= (ulong)size && length <= (ulong)size - offset;
    }

    /// <summary>A device that has no room says so after it was asked, so that is nothing to be sure of before.</summary>
    private Verdict JudgeGrowth(in RequestHeader header)
    {
        if (!Export!.Resizable || header.Length != 0 || header.Offset > long.MaxValue || header.Offset % Sector != 0 || (long)header.Offset < _length)
            return Verdict.Refused;
        var size = (long)header.Offset;
        var fits = size <= Export.MaxSize;
        var verdict = !fits || size < _maxLength || (_hasGrown && !_isPrompt) ? Verdict.Either : Verdict.Served;
        if (fits)
            _maxLength = Math.Max(_maxLength, size);
        if (fits && _isPrompt)
            _length = size;
        _hasGrown = true;
        return verdict;
    }

    private AskedRequest JudgeFiltered(in RequestHeader header, ReadOnlyMemory<byte> payload)
    {
        // The length of the range, and at most as many contexts as there can be: two, and one for each of 16 points.
        if (header.Length is < 12 or > 8 + (4 * 18) || header.Length % 4 != 0)
            return new AskedRequest(header, payload, Verdict.Refused);
        if ((ulong)payload.Length < header.Length)
            return new AskedRequest(header, payload, Verdict.Either);
        var range = BinaryPrimitives.ReadUInt64BigEndian(payload.Span);
        var (contexts, isSound) = (0u, true);
        for (var rest = payload.Span[8..]; !rest.IsEmpty; rest = rest[4..])
        {
            var context = BinaryPrimitives.ReadUInt32BigEndian(rest);
            isSound &= BitOperations.PopCount(context) == 1 && (context & _contexts & ~contexts) != 0;
            contexts |= context;
        }

        var verdict = isSound && range > 0 ? JudgeRange(header.Offset, range) : Verdict.Refused;
        return new AskedRequest(header, payload, verdict) { Range = range, Contexts = contexts };
    }
}
