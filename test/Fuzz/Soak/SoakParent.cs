using System.Runtime.InteropServices;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Soak;

/// <summary>An image that differencing disks stand on: never written again, with data, zeroes and holes.</summary>
/// <param name="Name">Its file name, as children record it.</param>
/// <param name="File">Its bytes.</param>
/// <param name="Sectors">The number every 512-byte sector that is not zero is filled with.</param>
/// <param name="Length">Bytes of the disk.</param>
/// <param name="Linkage">What children record as its identity.</param>
internal sealed record SoakParent(string Name, MemoryFile File, IReadOnlyDictionary<long, long> Sectors, long Length, Guid Linkage)
{
    // Far above the numbers of requests in one life.
    private const int FirstId = 0x7000_0000;
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>What children say about it.</summary>
    public ParentLink Link => new(Linkage, null, DateTimeOffset.UnixEpoch.AddYears(40), [new ParentPath(ParentPathKind.Relative, $@".\{Name}")]);

    public static SoakParent Vhd(long size, int blockSize) => Create("base.vhd", async file =>
    {
        await VhdDisk.CreateAsync(file, new VhdCreateOptions { Size = size, BlockSize = blockSize }, None);
        return await VhdDisk.OpenAsync(file, new VhdOpenOptions(), None);
    }).AsTask().GetAwaiter().GetResult();

    public static SoakParent Vhdx(VhdxCreateOptions options) => Create("base.vhdx", async file =>
    {
        await VhdxDisk.CreateAsync(file, options, None);
        return await VhdxDisk.OpenAsync(file, new VhdxOpenOptions(), None);
    }).AsTask().GetAwaiter().GetResult();

    /// <summary>An opening of its own.</summary>
    public async ValueTask<BlockDevice> OpenAsync()
    {
        IStorageFile file = File.Reopen(readOnly: true);
        return Name.EndsWith(".vhd", StringComparison.Ordinal)
            ? await VhdDisk.OpenAsync(file, new VhdOpenOptions { ReadOnly = true }, None)
            : await VhdxDisk.OpenAsync(file, new VhdxOpenOptions { ReadOnly = true }, None);
    }

    private static async ValueTask<SoakParent> Create(string name, Func<IStorageFile, ValueTask<BlockDevice>> createAsync)
    {
        var file = new MemoryFile(path: name);
        var sectors = new Dictionary<long, long>();
        long length;
        await using (var disk = await createAsync(file))
        {
            length = disk.Length;
            await FillAsync(disk, sectors);
        }

        var linkage = name.EndsWith(".vhd", StringComparison.Ordinal)
            ? (await VhdDisk.DescribeAsync(file.Reopen(readOnly: true), None)).Linkage
            : (await VhdxDisk.DescribeAsync(file.Reopen(readOnly: true), None)).Linkage;
        return new SoakParent(name, file, sectors, length, linkage!.Value);
    }

    /// <summary>Runs of data around where children have their edges, and one zeroed range in the middle of data.</summary>
    private static async ValueTask FillAsync(BlockDevice disk, Dictionary<long, long> sectors)
    {
        var random = new Random(1);
        var unit = disk.Capabilities.SectorSize / SectorModel.Sector;
        for (var run = 0; run < 40; run++)
        {
            var total = disk.Length / SectorModel.Sector;
            var near = run < 30 ? random.Next(12) * 1024L : random.NextInt64(total);
            var first = Math.Clamp(near + random.Next(-64, 64), 0, total - unit) / unit * unit;
            var count = Math.Min((1 + random.Next(100)) * unit, total - first);
            await WriteAsync(disk, FirstId + run, first, count, sectors);
        }

        await disk.WriteZeroesAsync(0, 8 * unit * SectorModel.Sector, WriteFlags.None, None);
        for (var sector = 0; sector < 8 * unit; sector++)
            sectors.Remove(sector);
    }

    private static async ValueTask WriteAsync(BlockDevice disk, int id, long first, long count, Dictionary<long, long> sectors)
    {
        var bytes = new byte[count * SectorModel.Sector];
        for (var sector = first; sector < first + count; sector++)
        {
            sectors[sector] = SectorModel.Tag(id, sector);
            MemoryMarshal.Cast<byte, long>(bytes.AsSpan((int)(sector - first) * SectorModel.Sector, SectorModel.Sector)).Fill(sectors[sector]);
        }

        await disk.WriteAsync(first * SectorModel.Sector, bytes, WriteFlags.None, None);
    }
}
