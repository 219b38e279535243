using Godwit.Storage;
using Godwit.Storage.Files;

namespace Godwit.Fuzz.Soak;

/// <summary>A kind of disk that a soak run lives through; <see cref="SoakFormats"/> lists them.</summary>
/// <param name="Name">For people.</param>
/// <param name="Sizes">Sizes in bytes to choose from.</param>
/// <param name="BlockSize">Where its edges are; requests gather around them.</param>
/// <param name="CreateAsync">Makes an empty file a disk of that size.</param>
/// <param name="OpenAsync">Opens it; true for reading only; the identifier of the running start of the computer.</param>
internal sealed record SoakFormat(
    string Name,
    IReadOnlyList<long> Sizes,
    int BlockSize,
    Func<IStorageFile, long, Func<Guid>, ValueTask> CreateAsync,
    Func<IStorageFile, bool, Guid, Func<Guid>, ValueTask<BlockDevice>> OpenAsync)
{
    /// <summary>How its file names end.</summary>
    public string Extension { get; init; } = "img";

    /// <summary>What <c>qemu-img</c> calls it; null when it is not asked.</summary>
    public string? QemuFormat { get; init; }

    /// <summary><c>qemu-img</c> can check it, and replays its log.</summary>
    public bool QemuChecks { get; init; }

    /// <summary>What 7-Zip calls it; null when it is not asked.</summary>
    public string? SevenZipType { get; init; }

    /// <summary>What it stands on; null for a disk of its own.</summary>
    public SoakParent? Parent { get; init; }
}
