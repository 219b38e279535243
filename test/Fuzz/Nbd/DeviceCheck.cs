using Godwit.Fuzz.Engine;
using Godwit.Nbd.Protocol;

namespace Godwit.Fuzz.Nbd;

/// <summary>Holds what happened on the device against what a session asked for: nothing else, nothing twice, nothing after the session's
/// writer was superseded.</summary>
internal static class DeviceCheck
{
    /// <summary>Judges, and notes in the requests what has become of them.</summary>
    /// <param name="session">The session.</param>
    /// <param name="entries">What happened on the export it chose, in order.</param>
    /// <param name="rival">The writer that came while it went on; null when none did.</param>
    /// <param name="isPrompt">The device has done each request before the server looked at the next.</param>
    /// <exception cref="FuzzFinding">Something happened that was not asked for, or not any more.</exception>
    public static void Judge(SessionModel session, IReadOnlyList<JournalEntry> entries, RivalVisit? rival, bool isPrompt)
    {
        var isOver = rival is not null && rival.Ends(session);
        for (var index = 0; index < entries.Count; index++)
        {
            var entry = entries[index];
            if (rival is not null && rival.IsOwn(entry, index))
                continue;
            if (isOver && index >= rival!.LetInAt)
                throw new FuzzFinding($"{entry.Command} of {entry.Length} bytes at {entry.Offset} by an earlier writer came to the device after a later one was let in");
            if (entry.Command == NbdCommand.Read)
                ExpectRead(session, entry);
            else
                Take(session, entry, isPrompt);
        }
    }

    private static void ExpectRead(SessionModel session, JournalEntry entry)
    {
        if (!session.Requests.Exists(Covers))
            throw new FuzzFinding($"{entry.Length} bytes at {entry.Offset} were read and never asked for");

        bool Covers(AskedRequest request) => request.Header.Command == NbdCommand.Read && request.Verdict != Verdict.Refused
            && (ulong)entry.Offset >= request.Header.Offset && (ulong)(entry.Offset + entry.Length) <= request.Header.Offset + request.Header.Length;
    }

    private static void Take(SessionModel session, JournalEntry entry, bool isPrompt)
    {
        // Where things take effect out of order, one that ends a request is rather that than the beginning of a longer one.
        var request = (isPrompt ? null : session.Requests.Find(request => request.Fits(entry) && request.Done + entry.Length == (long)request.Header.Length))
            ?? session.Requests.Find(request => request.Fits(entry))
            ?? (isPrompt ? null : FindMistaken(session, entry))
            ?? throw new FuzzFinding($"{entry.Command} of {entry.Length} bytes at {entry.Offset} reached the disk and was never asked for, or more often than it was{Near(session, entry)}");
        request.HasFailed |= entry.Failed;
        request.HasGrown |= !entry.Failed && entry.Command == NbdCommand.Resize;
        request.Done += entry.Failed ? entry.Bytes.Length : entry.Length;
    }

    /// <summary>A request that is charged with the failure of a twin whose data begin alike: which of them failed could not be told before.</summary>
    private static AskedRequest? FindMistaken(SessionModel session, JournalEntry entry)
    {
        foreach (var failed in session.Requests.Where(request => request is { HasFailed: true, Header.Command: NbdCommand.Write }))
        {
            var twin = session.Requests.Find(other => other is { HasFailed: false, Done: 0 } && other.Verdict != Verdict.Refused && other.Header.Command == NbdCommand.Write
                && other.Header.Offset == failed.Header.Offset && other.Header.Length == failed.Header.Length
                && other.Payload.Span.StartsWith(failed.Payload.Span[..(int)failed.Done]));
            if (twin is null)
                continue;
            var done = failed.Done;
            (failed.HasFailed, failed.Done) = (false, 0);
            if (failed.Fits(entry))
            {
                (twin.HasFailed, twin.Done) = (true, done);
                return failed;
            }

            (failed.HasFailed, failed.Done) = (true, done);
        }

        return null;
    }

    /// <summary>What was asked for there, and how much of it had come before.</summary>
    private static string Near(SessionModel session, JournalEntry entry) => string.Concat(session.Requests
        .Where(request => request.Header.Command == entry.Command && (ulong)entry.Offset < request.Header.Offset + request.Header.Length
            && request.Header.Offset < (ulong)(entry.Offset + entry.Length))
        .Select(request => $"; {request.Verdict} {request.Header.Length} at {request.Header.Offset}, {request.Done} done{(request.HasFailed ? ", failed" : "")}"));
}
