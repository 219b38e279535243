using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Fuzz.Soak;

/// <summary>A kind of disk that a soak run lives through.</summary>
/// <param name="Name">For people.</param>
/// <param name="Sizes">Sizes in bytes to choose from.</param>
/// <param name="BlockSize">Where its edges are; requests gather around them.</param>
/// <param name="CreateAsync">Makes an empty file a disk of that size.</param>
/// <param name="OpenAsync">Opens it; true for reading only; the identifier of the running start of the computer.</param>
/// <param name="QemuFormat">What <c>qemu-img</c> calls it; null when it is not asked.</param>
/// <param name="SevenZipType">What 7-Zip calls it; null when it is not asked.</param>
internal sealed record SoakFormat(
    string Name,
    IReadOnlyList<long> Sizes,
    int BlockSize,
    Func<IStorageFile, long, Func<Guid>, ValueTask> CreateAsync,
    Func<IStorageFile, bool, Guid, Func<Guid>, ValueTask<BlockDevice>> OpenAsync,
    string? QemuFormat = null,
    string? SevenZipType = null)
{
    private const int MiB = 1 << 20;
    private const int Sector = 512;
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>Every format, subtype, block size and sector size there is.</summary>
    public static IReadOnlyList<SoakFormat> All { get; } =
    [
        Raw(),
        Vhdx("vhdx dynamic, 1 MiB blocks", [8 * MiB, (5 * MiB) + Sector], new() { Size = 0, BlockSize = MiB }),
        Vhdx("vhdx dynamic, 2 MiB blocks, 2 MiB log", [16 * MiB, (7 * MiB) + (3 * Sector)], new() { Size = 0, BlockSize = 2 * MiB, LogSize = 2 * MiB }),
        Vhdx("vhdx dynamic, 32 MiB blocks", [100 * MiB, 3L << 40], new() { Size = 0, BlockSize = 32 * MiB, PhysicalSectorSize = 512 }),
        Vhdx("vhdx dynamic, 256 MiB blocks", [1L << 30, 64L << 40], new() { Size = 0, BlockSize = 256 * MiB }),
        Vhdx("vhdx dynamic, many pages of the table", [16L << 30], new() { Size = 0, BlockSize = MiB }),
        Vhdx("vhdx fixed, 1 MiB blocks", [6 * MiB, (4 * MiB) + Sector], new() { Size = 0, BlockSize = MiB, Fixed = true }),
        Vhdx("vhdx fixed, 8 MiB blocks", [20 * MiB], new() { Size = 0, BlockSize = 8 * MiB, Fixed = true }),
    ];

    private static SoakFormat Raw() => new(
        "raw",
        [8 * MiB, (3 * MiB) + Sector],
        MiB,
        async (file, size, _) =>
        {
            await file.SetLengthAsync(size, None);
            await file.FlushAsync(None);
        },
        (file, _, _, _) => ValueTask.FromResult<BlockDevice>(RawDisk.Open(file)));

    private static SoakFormat Vhdx(string name, IReadOnlyList<long> sizes, VhdxCreateOptions options) => new(
        name,
        sizes,
        options.BlockSize ?? 32 << 20,
        (file, size, guids) => VhdxDisk.CreateAsync(file, options with { Size = size, NewGuid = guids }, None),
        async (file, readOnly, boot, guids) =>
            await VhdxDisk.OpenAsync(file, new VhdxOpenOptions { ReadOnly = readOnly, BootId = boot, NewGuid = guids }, None),
        "vhdx",
        "VHDX");
}
