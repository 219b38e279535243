using Godwit.Storage.Formats;

namespace Godwit.Storage.Repair;

/// <summary>How to repair.</summary>
public sealed record RepairOptions
{
    /// <summary>What the file is; null to tell it by its content and its name.</summary>
    public ImageFormat? Format { get; init; }

    /// <summary>Permits steps that give something up.</summary>
    public bool Lossy { get; init; }

    /// <summary>Makes identifiers; tests pass a seeded one.</summary>
    internal Func<Guid> NewGuid { get; init; } = Guid.NewGuid;
}
