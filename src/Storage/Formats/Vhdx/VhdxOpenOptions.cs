namespace Godwit.Storage.Formats.Vhdx;

/// <summary>How to open a VHDX.</summary>
public sealed record VhdxOpenOptions
{
    /// <summary>Never write: a log left by a crash is applied in memory only. Implied when the file is open for reading only.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Makes the identifiers a session writes; tests pass a seeded one.</summary>
    public Func<Guid> NewGuid { get; init; } = Guid.NewGuid;
}
