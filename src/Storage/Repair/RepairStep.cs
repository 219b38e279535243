namespace Godwit.Storage.Repair;

/// <summary>What becomes of a problem.</summary>
public enum RepairOutcome
{
    /// <summary>Mended, and nothing is given up.</summary>
    Mended = 0,

    /// <summary>Mended by giving something up, as was permitted.</summary>
    MendedWithLoss = 1,

    /// <summary>Could be mended by giving something up, which was not permitted: left as it is.</summary>
    NeedsLossy = 2,

    /// <summary>Cannot be mended; the action says why, and what else can be tried.</summary>
    Impossible = 3,
}

/// <summary>One problem and what a repair does about it.</summary>
/// <param name="Offset">Byte offset in the file, or null when no place is to blame.</param>
/// <param name="Problem">What is wrong, in a sentence.</param>
/// <param name="Action">What is done about it, or would be; or why nothing can be done.</param>
/// <param name="Outcome">What becomes of it.</param>
public sealed record RepairStep(long? Offset, string Problem, string Action, RepairOutcome Outcome)
{
    /// <summary>Bytes of the disk that are given up or can no longer be vouched for, in order. Empty when none are, or when they
    /// cannot be told (the action says so then).</summary>
    public IReadOnlyList<GuestRange> Lost { get; init; } = [];

    /// <summary>How many bytes that are, those included that a very long list leaves out.</summary>
    public long LostBytes { get; init; }
}
