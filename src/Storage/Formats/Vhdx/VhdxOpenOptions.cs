using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>How to open a VHDX.</summary>
public sealed record VhdxOpenOptions
{
    /// <summary>Never write: a log left by a crash is applied in memory only. Implied when the file is open for reading only.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>The parent of a differencing disk: required for one, forbidden for any other. Owned by the disk once it is
    /// open, the caller's when opening throws. Its identity is the caller's to check.</summary>
    public BlockDevice? Parent { get; init; }

    /// <summary>The running start of this computer: log entries that a killed process left unsealed count only within it.</summary>
    public Guid BootId { get; init; } = Boot.Id;

    /// <summary>Makes the identifiers a session writes; tests pass a seeded one.</summary>
    public Func<Guid> NewGuid { get; init; } = Guid.NewGuid;
}
