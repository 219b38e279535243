namespace Godwit.Storage.Formats;

/// <summary>How bad a finding is.</summary>
public enum CheckSeverity
{
    /// <summary>Worth knowing; nothing is wrong.</summary>
    Information = 0,

    /// <summary>Breaks a rule of the format, but every reader gets the same bytes.</summary>
    Warning = 1,

    /// <summary>The file is damaged: it cannot be opened, or bytes may be wrong.</summary>
    Error = 2,
}

/// <summary>What can be done about a finding.</summary>
public enum CheckRemedy
{
    /// <summary>Nothing, or nobody has looked.</summary>
    None = 0,

    /// <summary>A repair mends it and gives nothing up.</summary>
    Repair = 1,

    /// <summary>A repair mends it when it may give something up.</summary>
    RepairLossy = 2,
}

/// <summary>One thing a check found.</summary>
/// <param name="Severity">How bad it is.</param>
/// <param name="Offset">Byte offset in the file, or null when no place is to blame.</param>
/// <param name="Message">What is there and which rule it breaks, in a sentence.</param>
public sealed record CheckFinding(CheckSeverity Severity, long? Offset, string Message)
{
    /// <summary>What can be done about it, where that was worked out.</summary>
    public CheckRemedy Remedy { get; init; }
}

/// <summary>What a check of an image file found. A check never writes.</summary>
/// <param name="Findings">Every finding in the order of discovery; a very long list is cut and says so at its end.</param>
/// <param name="Errors">How many findings are errors, the ones cut from the list included.</param>
/// <param name="Warnings">How many are warnings, the ones cut from the list included.</param>
/// <param name="TotalBlocks">Blocks the disk has; 0 where the format has no blocks or the check did not get that far.</param>
/// <param name="AllocatedBlocks">Blocks that have a place in the file.</param>
public sealed record CheckReport(
    IReadOnlyList<CheckFinding> Findings, int Errors, int Warnings, long TotalBlocks, long AllocatedBlocks)
{
    /// <summary>No errors.</summary>
    public bool IsSound => Errors == 0;
}
