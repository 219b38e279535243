namespace Godwit.Fuzz.Nbd;

/// <summary>What a session came to.</summary>
/// <param name="Answers">All that its client heard; null when it hung up without listening.</param>
/// <param name="Rival">A later writer that came meanwhile; null when none did.</param>
/// <param name="IsPrompt">The device did everything at once, and nobody else was there.</param>
internal sealed record SessionOutcome(byte[]? Answers, RivalVisit? Rival, bool IsPrompt)
{
    /// <summary>What happened on the disk, in order.</summary>
    public IReadOnlyList<JournalEntry> OnDisk { get; init; } = [];

    /// <summary>What happened on the other export.</summary>
    public IReadOnlyList<JournalEntry> OnOther { get; init; } = [];
}
