using System.Buffers.Binary;
using Godwit.Fuzz.Engine;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhd;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Targets;

/// <summary>The sound images VHD targets start from, and the fields in them. All have the dynamic header at 512 and the
/// block table at 1536.</summary>
internal static class VhdImages
{
    public const int HeaderOffset = VhdFormat.FooterLength;
    public const int FooterChecksumAt = 64;
    public const int HeaderChecksumAt = 36;
    private const int MiB = 1 << 20;
    private const int TableOffset = 1536;
    private const int BlockSize = 512 << 10;
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>Two blocks of sixteen written and one written and zeroed, closed.</summary>
    public static ValueTask<MemoryFile> DynamicAsync() => WithContentAsync(Options(8 * MiB));

    /// <summary>Over <see cref="FuzzParent"/>, with a path of every kind there is an entry for.</summary>
    public static ValueTask<MemoryFile> ChildAsync() => WithContentAsync(Options(8 * MiB) with
    {
        Parent = FuzzParent.Link with { Paths = [.. FuzzParent.Link.Paths, new ParentPath(ParentPathKind.Url, "file:///VMs/parent.vhd")] },
    });

    public static ValueTask<MemoryFile> FixedAsync() => WithContentAsync(Options((4 * MiB) + 512) with { Fixed = true });

    /// <summary>With a footer one byte short, as old versions of Virtual PC wrote them.</summary>
    public static async ValueTask<MemoryFile> ShortAsync()
    {
        var file = await DynamicAsync();
        await file.SetLengthAsync(file.Length - 1, None);
        return file;
    }

    /// <summary>Killed in the middle of work: the footer is not where it belongs.</summary>
    public static async ValueTask<MemoryFile> KilledAsync()
    {
        var file = new CrashFile(await EmptyAsync(Options(8 * MiB)));
        await using var disk = await OpenAsync(file);
        for (var block = 0; block < 5; block++)
            await disk.WriteAsync(block * BlockSize, VhdxImages.Bytes(block), WriteFlags.None, None);
        return file.AfterKill(file.EventCount);
    }

    public static Area Footer(string name, long offset) => new(name, offset, 85,
    [
        new(0, 8), new(8, 4), new(12, 4), new(16, 8), new(24, 4), new(28, 4), new(32, 4), new(36, 4), new(40, 8), new(48, 8),
        new(56, 2), new(58, 1), new(59, 1), new(60, 4), new(64, 4), new(68, 16), new(84, 1),
    ]);

    public static Area Header() => new("dynamic header", HeaderOffset, 80,
        [new(0, 8), new(8, 8), new(16, 8), new(24, 4), new(28, 4), new(32, 4), new(36, 4), new(40, 16), new(56, 4)]);

    /// <summary>The eight entries that say where the parent's paths are.</summary>
    public static Area Locators() => new("parent locators", HeaderOffset + 576, VhdFormat.LocatorCount * VhdLocator.EntryLength,
        [.. Enumerable.Range(0, VhdFormat.LocatorCount).SelectMany(index => Locator(index * VhdLocator.EntryLength))]);

    /// <summary>The parent's name in the header, and the paths behind the table.</summary>
    public static IEnumerable<Area> Paths() =>
        [new("parent name", HeaderOffset + 64, 64, []), new("parent paths", TableOffset + 512, 3 * 512, [])];

    public static Area Table() => new("block table", TableOffset, 64, [.. Enumerable.Range(0, 16).Select(index => new Field(index * 4, 4))]);

    /// <summary>The sector bitmaps of the blocks that have a place.</summary>
    public static async ValueTask<IEnumerable<Area>> BitmapsAsync(MemoryFile file)
    {
        var table = await file.ReadBytesAsync(TableOffset, 64);
        return [.. Enumerable.Range(0, 16)
            .Select(index => BinaryPrimitives.ReadUInt32BigEndian(table.AsSpan(index * 4)))
            .Where(sector => sector != uint.MaxValue)
            .Select(sector => new Area($"bitmap at {sector}", sector * 512L, 128, [new(0, 1), new(1, 1), new(2, 8), new(126, 2)]))];
    }

    private static VhdCreateOptions Options(long size) => new()
    {
        Size = size,
        BlockSize = BlockSize,
        DiskId = new Guid("12345678-1234-1234-1234-123456789abc"),
        NewGuid = VhdxImages.Guids(),
        Time = new StoppedClock(),
    };

    private static async ValueTask<MemoryFile> WithContentAsync(VhdCreateOptions options)
    {
        var file = await EmptyAsync(options);
        await using (var disk = await OpenAsync(file, options.Parent is null ? null : FuzzParent.Open()))
        {
            await disk.WriteAsync(0, VhdxImages.Bytes(1), WriteFlags.None, None);
            await disk.WriteAsync(MiB + BlockSize, VhdxImages.Bytes(3), WriteFlags.None, None);
            await disk.WriteAsync(3 * MiB, VhdxImages.Bytes(2), WriteFlags.None, None);
            await disk.WriteZeroesAsync(MiB + BlockSize, BlockSize, WriteFlags.None, None);
        }

        return file.Reopen();
    }

    private static async ValueTask<MemoryFile> EmptyAsync(VhdCreateOptions options)
    {
        var file = new MemoryFile(path: "fuzz.vhd");
        await VhdDisk.CreateAsync(file, options, None);
        return file;
    }

    private static ValueTask<VhdDisk> OpenAsync(IStorageFile file, BlockDevice? parent = null) =>
        VhdDisk.OpenAsync(file, new VhdOpenOptions { Parent = parent, NewGuid = VhdxImages.Guids(), Headroom = BlockSize }, None);

    private static Field[] Locator(int at) => [new(at, 4), new(at + 4, 4), new(at + 8, 4), new(at + 12, 4), new(at + 16, 8)];

    /// <summary>The same time in every run.</summary>
    private sealed class StoppedClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => new(2024, 5, 6, 7, 8, 9, TimeSpan.Zero);
    }
}
