using Godwit.Nbd.Protocol;

namespace Godwit.Fuzz.Nbd;

/// <summary>What became of an honest writer of a later epoch that came in the middle of a session.</summary>
/// <param name="LetInAt">Entries in the journal when it was let in; -1 when it was refused.</param>
/// <param name="Failure">What went wrong with it; null when nothing did.</param>
/// <param name="ReadsOther">It read other bytes than it had written.</param>
internal sealed record RivalVisit(int LetInAt, string? Failure, bool ReadsOther)
{
    /// <summary>Its epoch; scripts have smaller ones.</summary>
    public const long Epoch = 1_000_000;

    /// <summary>Where it writes.</summary>
    public const long Offset = 64 << 10;

    /// <summary>What it writes there.</summary>
    public static byte[] Content { get; } = [.. Enumerable.Range(0, 4096).Select(index => (byte)(0xA5 ^ (index * 7) ^ (index >> 8)))];

    /// <summary>A session that was a writer of an earlier epoch is at its end.</summary>
    public bool Ends(SessionModel session) => LetInAt >= 0 && session is { Epoch: > 0 and < Epoch, Export.Name: SessionScript.DiskName };

    /// <summary>The session is a later writer still: whatever happens to this one is right.</summary>
    public static bool IsEndedBy(SessionModel session) => session.LatestEpoch(SessionScript.DiskName) > Epoch;

    /// <summary>Something that happened was its doing.</summary>
    /// <param name="entry">What happened.</param>
    /// <param name="index">Its place in the journal.</param>
    public bool IsOwn(JournalEntry entry, int index) => LetInAt >= 0 && index >= LetInAt && entry is { Offset: Offset, Length: 4096 }
        && (entry.Command == NbdCommand.Read || (entry.Command == NbdCommand.Write && Content.AsSpan().StartsWith(entry.Bytes)));
}
