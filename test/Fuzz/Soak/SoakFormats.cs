using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Fuzz.Soak;

/// <summary>Every format, subtype, block size and sector size there is.</summary>
internal static class SoakFormats
{
    private const int MiB = 1 << 20;
    private const int Sector = 512;
    private const int FourKiB = 4096;
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>In an order that stays: the seed of a life tells its format.</summary>
    public static IReadOnlyList<SoakFormat> All { get; } =
    [
        Raw(),
        Vhdx("vhdx dynamic, 1 MiB blocks", [8 * MiB, (5 * MiB) + Sector], new() { Size = 0, BlockSize = MiB }),
        Vhdx("vhdx dynamic, 2 MiB blocks, 2 MiB log", [16 * MiB, (7 * MiB) + (3 * Sector)], new() { Size = 0, BlockSize = 2 * MiB, LogSize = 2 * MiB }),
        Vhdx("vhdx dynamic, 32 MiB blocks", [100 * MiB, 3L << 40], new() { Size = 0, BlockSize = 32 * MiB, PhysicalSectorSize = 512 }),
        Vhdx("vhdx dynamic, 256 MiB blocks", [1L << 30, 64L << 40], new() { Size = 0, BlockSize = 256 * MiB }),
        Vhdx("vhdx dynamic, many pages of the table", [16L << 30], new() { Size = 0, BlockSize = MiB }, tablePages: 2),
        Vhdx("vhdx fixed, 1 MiB blocks", [6 * MiB, (4 * MiB) + Sector], new() { Size = 0, BlockSize = MiB, Fixed = true }),
        Vhdx("vhdx fixed, 8 MiB blocks", [20 * MiB], new() { Size = 0, BlockSize = 8 * MiB, Fixed = true }),
        Vhdx("vhdx dynamic, 4 KiB sectors", [8 * MiB, (5 * MiB) + FourKiB], new() { Size = 0, BlockSize = MiB, LogicalSectorSize = FourKiB }),
        Vhdx("vhdx fixed, 4 KiB sectors", [(4 * MiB) + FourKiB], new() { Size = 0, BlockSize = 2 * MiB, LogicalSectorSize = FourKiB, Fixed = true }),
        VhdxOver("vhdx differencing, 1 MiB blocks", [8 * MiB], 1, VhdxParent(8 * MiB), new() { Size = 0, BlockSize = MiB }),
        VhdxOver("vhdx differencing, 2 MiB blocks, larger than its parent", [(7 * MiB) + Sector], 8, VhdxParent((5 * MiB) + Sector), new() { Size = 0 }),
        VhdxOver("vhdx differencing, 32 MiB blocks, one page of bitmaps", [9L << 30], 1, VhdxParent(8L << 30), new() { Size = 0, BlockSize = 32 * MiB }),
        VhdxOver(
            "vhdx differencing, 4 KiB sectors",
            [(8 * MiB) + FourKiB],
            1,
            VhdxParent(6 * MiB, FourKiB),
            new() { Size = 0, BlockSize = MiB, LogicalSectorSize = FourKiB }),
        VhdxOver("vhdx differencing, 512-byte sectors over 4 KiB sectors", [8 * MiB], 2, VhdxParent(7 * MiB, FourKiB), new() { Size = 0, BlockSize = MiB }),
        Vhd("vhd dynamic, 512 KiB blocks", [8 * MiB, (5 * MiB) + Sector], new() { Size = 0, BlockSize = 512 << 10 }, headroom: 1),
        Vhd("vhd dynamic, 2 MiB blocks", [16 * MiB, 2040L << 30], new() { Size = 0 }),
        Vhd("vhd dynamic, 32 MiB blocks", [100 * MiB], new() { Size = 0, BlockSize = 32 * MiB }, headroom: 1),
        Vhd("vhd fixed", [6 * MiB, (3 * MiB) + Sector], new() { Size = 0, Fixed = true }),
        VhdOver("vhd differencing, 512 KiB blocks", [8 * MiB], SoakParent.Vhd(8 * MiB, 512 << 10), new() { Size = 0, BlockSize = 512 << 10 }, headroom: 1),
        VhdOver("vhd differencing, 2 MiB blocks, larger than its parent", [(9 * MiB) + Sector], SoakParent.Vhd((6 * MiB) + Sector, 2 * MiB), new() { Size = 0 }),
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
        (file, _, _, _) => ValueTask.FromResult<Godwit.Storage.BlockDevice>(RawDisk.Open(file)));

    private static SoakFormat Vhdx(string name, IReadOnlyList<long> sizes, VhdxCreateOptions options, int? tablePages = null) => new(
        name,
        sizes,
        options.BlockSize ?? 32 << 20,
        (file, size, guids) => VhdxDisk.CreateAsync(file, options with { Size = size, NewGuid = guids }, None),
        async (file, readOnly, boot, guids) => await VhdxDisk.OpenAsync(
            file,
            new VhdxOpenOptions
            {
                ReadOnly = readOnly,
                BootId = boot,
                NewGuid = guids,
                Headroom = 4 * MiB,
                TablePages = tablePages ?? BlockAllocationTable.DefaultCapacity,
            },
            None))
    {
        Extension = "vhdx",
        QemuFormat = options.LogicalSectorSize == Sector ? "vhdx" : null,
        QemuChecks = true,
        SevenZipType = "VHDX",
    };

    // Few pages of sector bitmaps stay in memory, so that they leave it and come back.
    private static SoakFormat VhdxOver(string name, IReadOnlyList<long> sizes, int bitmapPages, SoakParent parent, VhdxCreateOptions options) => new(
        name,
        sizes,
        options.BlockSize ?? 2 * MiB,
        (file, size, guids) => VhdxDisk.CreateAsync(file, options with { Size = size, NewGuid = guids, Parent = parent.Link }, None),
        async (file, readOnly, boot, guids) => await VhdxDisk.OpenAsync(
            file,
            new VhdxOpenOptions
            {
                ReadOnly = readOnly,
                BootId = boot,
                NewGuid = guids,
                Headroom = 4 * MiB,
                BitmapPages = bitmapPages,
                Parent = await parent.OpenAsync(),
            },
            None))
    {
        Extension = "vhdx",
        SevenZipType = "VHDX",
        Parent = parent,
    };

    private static SoakParent VhdxParent(long size, int sector = Sector) =>
        SoakParent.Vhdx(new VhdxCreateOptions { Size = size, BlockSize = 2 * MiB, LogicalSectorSize = sector });

    private static SoakFormat Vhd(string name, IReadOnlyList<long> sizes, VhdCreateOptions options, long headroom = 64 * MiB) => new(
        name,
        sizes,
        options.BlockSize,
        (file, size, guids) => VhdDisk.CreateAsync(file, options with { Size = size, NewGuid = guids }, None),
        async (file, readOnly, _, guids) =>
            await VhdDisk.OpenAsync(file, new VhdOpenOptions { ReadOnly = readOnly, NewGuid = guids, Headroom = headroom }, None))
    {
        Extension = "vhd",
        QemuFormat = "vpc",
        SevenZipType = "VHD",
    };

    private static SoakFormat VhdOver(
        string name, IReadOnlyList<long> sizes, SoakParent parent, VhdCreateOptions options, long headroom = 64 * MiB) => new(
        name,
        sizes,
        options.BlockSize,
        (file, size, guids) => VhdDisk.CreateAsync(file, options with { Size = size, NewGuid = guids, Parent = parent.Link }, None),
        async (file, readOnly, _, guids) => await VhdDisk.OpenAsync(
            file,
            new VhdOpenOptions { ReadOnly = readOnly, NewGuid = guids, Headroom = headroom, Parent = await parent.OpenAsync() },
            None))
        {
            Extension = "vhd",
            SevenZipType = "VHD",
            Parent = parent,
        };
}
