using Godwit.Fuzz.Engine;
using Godwit.Nbd.Protocol;

namespace Godwit.Fuzz.Nbd;

/// <summary>Holds what a server says has changed since a point against what had been asked for before: never too little, and not more than granules of it.</summary>
internal static class MarkCheck
{
    private const int Granule = 4096;

    /// <summary>Judges one run.</summary>
    /// <param name="session">The session.</param>
    /// <param name="asked">The block status.</param>
    /// <param name="at">First byte of the run.</param>
    /// <param name="end">The byte behind it.</param>
    /// <param name="changed">What the server says.</param>
    /// <param name="rival">Who else may have changed something.</param>
    /// <exception cref="FuzzFinding">It says too little or too much.</exception>
    public static void Judge(SessionModel session, AskedRequest asked, long at, long end, bool changed, RivalVisit? rival)
    {
        if (!changed)
            ExpectUnchanged(session, asked, at, end);
        else
            ExpectChanged(session, asked, at, end, rival);
    }

    private static void ExpectUnchanged(SessionModel session, AskedRequest asked, long at, long end)
    {
        if (end > session.Export!.Size)
            throw new FuzzFinding($"the server says that {at} to {end} has not changed since the point, and it has come in growing");
        foreach (var request in Before(session, asked))
        {
            var from = (long)request.Header.Offset;
            if (request is { IsChange: true, Done: > 0 } && from < end && from + request.Done > at)
                throw new FuzzFinding($"the server says that {at} to {end} has not changed since the point, and {request.Header.Command} at {from} came before");
        }
    }

    private static void ExpectChanged(SessionModel session, AskedRequest asked, long at, long end, RivalVisit? rival)
    {
        var left = new SortedSet<long>();
        for (var granule = at / Granule; granule <= (end - 1) / Granule; granule++)
            left.Add(granule);
        foreach (var request in Before(session, asked))
        {
            if (request.Header.Command == NbdCommand.Resize)
                left.RemoveWhere(granule => granule >= session.Export!.Size / Granule);
            else if (request is { IsChange: true, Header.Length: > 0 } && request.Verdict != Verdict.Refused)
                Remove(left, (long)request.Header.Offset, (long)request.Header.Length);
        }

        if (rival is not null)
            Remove(left, RivalVisit.Offset, RivalVisit.Content.Length);
        if (left.Count > 0)
            throw new FuzzFinding($"the server says that {left.Min * Granule} has changed since the point, and nobody asked for it");
    }

    private static IEnumerable<AskedRequest> Before(SessionModel session, AskedRequest asked) =>
        session.Requests.TakeWhile(request => !ReferenceEquals(request, asked));

    private static void Remove(SortedSet<long> granules, long offset, long length) =>
        granules.RemoveWhere(granule => granule >= offset / Granule && granule <= (offset + length - 1) / Granule);
}
