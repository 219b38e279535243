using Godwit.Storage.Formats;

namespace Godwit.Storage.Chains;

/// <summary>How to open an image with the layers below it.</summary>
public sealed record ChainOptions
{
    /// <summary>The image's own format; null to tell it by the content. Parents are always told by their content.</summary>
    public ImageFormat? Format { get; init; }

    /// <summary>Opens the image for reading only. Its parents are opened for reading only in any case.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Large writes go around the page cache: for a disk that is filled and not used at once. See <see cref="Files.LocalFile.Open"/>.</summary>
    public bool BypassCache { get; init; }

    /// <summary>Whether the files are read and written through the page cache.</summary>
    public Files.FileCache Cache { get; init; }

    /// <summary>Where the drives and shares of Windows are on this computer.</summary>
    public PathMap Paths { get; init; } = PathMap.Empty;

    /// <summary>Where parents may be; null for anywhere, which is for people who name the image themselves.</summary>
    public AllowedFolders? ParentFolders { get; init; }

    /// <summary>Takes a parent whose identity is not the one the child recorded. What is read may then be nonsense: only for
    /// people who say so, never for a VM.</summary>
    public bool IgnoreParentMismatch { get; init; }

    /// <summary>A layer below the image that is opened for writing too, keeping the identity that its child recorded: what a live merge writes into
    /// (<see cref="Operations.LiveMerge"/>). The absolute path as the chain has it; null for none.</summary>
    public string? WritableLayer { get; init; }

    /// <summary>Leaves the identity that children record as it is although the image is written to: only where children cover
    /// every byte that changes.</summary>
    internal bool KeepsLinkage { get; init; }

    /// <summary>The most layers. More than any tool makes, and a bound for hostile files.</summary>
    public int MaxDepth { get; init; } = 1024;
}
