using Godwit.Storage.Formats;

namespace Godwit.Storage.Chains;

/// <summary>One image file of a chain.</summary>
/// <param name="Path">The file, absolute.</param>
/// <param name="Description">What it is.</param>
public sealed record ChainLayer(string Path, ImageDescription Description)
{
    /// <summary>When the file was written to last, in whole seconds; null when nobody has looked.</summary>
    internal DateTimeOffset? FileModified { get; init; }
}
