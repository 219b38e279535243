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
            ?? throw new FuzzFinding($"{entry.Command} of {entry.Length} bytes at {entry.Offset} reached the disk and was never asked for, or more often than it was");
        request.HasFailed |= entry.Failed;
        request.HasGrown |= !entry.Failed && entry.Command == NbdCommand.Resize;
        request.Done += entry.Failed ? entry.Bytes.Length : entry.Length;
    }
}
