using System.Buffers.Binary;
using System.Numerics;
using Godwit.Fuzz.Engine;
using Godwit.Nbd.Protocol;

namespace Godwit.Fuzz.Nbd;

/// <summary>Holds a chunk of a block status against what was asked for.</summary>
/// <param name="session">The session.</param>
/// <param name="request">The block status.</param>
/// <param name="rival">Who else may have changed something.</param>
internal sealed class StatusCheck(SessionModel session, AskedRequest request, RivalVisit? rival)
{
    private bool Wide => request.Header.Extended;

    /// <summary>Judges one chunk.</summary>
    /// <exception cref="FuzzFinding">It is not one that was asked for, or what it says cannot be.</exception>
    public void Judge(ReadOnlySpan<byte> content)
    {
        var (head, size) = Wide ? (8, 16) : (4, 8);
        if (content.Length <= head || (content.Length - head) % size != 0 || (Wide && BinaryPrimitives.ReadUInt32BigEndian(content[4..]) != (content.Length - head) / size))
            throw new FuzzFinding($"a block status of {content.Length} bytes");
        var context = BinaryPrimitives.ReadUInt32BigEndian(content);
        if (BitOperations.PopCount(context) != 1 || (context & request.Contexts & ~request.Told) == 0)
            throw new FuzzFinding($"a block status of context {context}, which was not asked for, or twice");
        request.Told |= context;
        JudgeRuns(session.Export!.Contexts[BitOperations.Log2(context)], content[head..], size);
    }

    private void JudgeRuns(string context, ReadOnlySpan<byte> runs, int size)
    {
        if ((request.Header.Flags & NbdCommandFlags.RequestOne) != 0 && runs.Length != size)
            throw new FuzzFinding("more than one run where one was asked for");
        var at = (long)request.Header.Offset;
        var end = at + (long)request.Range;
        for (; !runs.IsEmpty; runs = runs[size..])
        {
            var (length, state) = Wide
                ? (BinaryPrimitives.ReadUInt64BigEndian(runs), BinaryPrimitives.ReadUInt64BigEndian(runs[8..]))
                : (BinaryPrimitives.ReadUInt32BigEndian(runs), BinaryPrimitives.ReadUInt32BigEndian(runs[4..]));
            if (length == 0 || length > (ulong)(end - at))
                throw new FuzzFinding($"a run of {length} bytes at {at} where {end - at} are left");
            JudgeRun(context, at, at + (long)length, state);
            at += (long)length;
        }
    }

    private void JudgeRun(string context, long at, long end, ulong state)
    {
        var isPossible = context switch
        {
            "base:allocation" => state is 0 or (ulong)AllocationFlags.Zero or (ulong)(AllocationFlags.Zero | AllocationFlags.Hole),
            "godwit:layer" => state == 0,
            OfferedExport.LostPoint => state == (ulong)ChangeFlags.Dirty,
            _ => state <= (ulong)ChangeFlags.Dirty,
        };
        if (!isPossible)
            throw new FuzzFinding($"{context} says {state} of {at} to {end}");
        if (context == OfferedExport.FirstPoint)
            MarkCheck.Judge(session, request, at, end, state != 0, rival);
    }
}
