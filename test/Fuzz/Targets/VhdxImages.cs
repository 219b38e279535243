using Godwit.Fuzz.Engine;
using Godwit.Storage;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Targets;

/// <summary>The sound images VHDX targets start from, and the fields in them. All have the same layout: log at 1 MiB,
/// metadata at 2 MiB, table at 3 MiB.</summary>
internal static class VhdxImages
{
    public const int MiB = 1 << 20;
    public const int LogLength = MiB;
    private const int MetadataOffset = 2 * MiB;
    private const int BatOffset = 3 * MiB;

    // Behind the five items before it: 8 + 8 + 16 + 4 + 4 bytes.
    private const int LocatorOffset = MetadataOffset + (64 << 10) + 40;

    // 2^23 sectors of 512 bytes in blocks of 1 MiB.
    private const int BitmapEntryIndex = 4096;
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>Identifiers that are the same in every run.</summary>
    public static Func<Guid> Guids()
    {
        var count = 0;
        return () => new Guid(++count, 0x1234, 0x5678, [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    /// <summary>Two blocks of eight written, closed.</summary>
    public static async ValueTask<MemoryFile> WithContentAsync(VhdxCreateOptions? options = null)
    {
        var file = await EmptyAsync(options ?? new VhdxCreateOptions { Size = 8 * MiB, BlockSize = MiB });
        await using (var disk = await OpenAsync(file))
        {
            await disk.WriteAsync(0, Bytes(1), WriteFlags.None, None);
            await disk.WriteAsync(((disk.Length / 2) >> 20 << 20) + MiB, Bytes(2), WriteFlags.None, None);
            await disk.WriteZeroesAsync(2 * MiB, MiB, WriteFlags.None, None);
        }

        return file.Reopen();
    }

    /// <summary>Killed in the middle of work: the last changes are in the log only.</summary>
    /// <param name="boot">The start of the computer it was killed in; the log is continued in the same and replayed in any other.</param>
    public static async ValueTask<MemoryFile> KilledAsync(Guid boot = default)
    {
        var file = new CrashFile(await EmptyAsync(new VhdxCreateOptions { Size = 8 * MiB, BlockSize = MiB }));
        await using var disk = await OpenAsync(file, boot: boot);
        for (var block = 0; block < 6; block++)
            await disk.WriteAsync(block * MiB, Bytes(block), WriteFlags.None, None);
        await disk.FlushAsync(None);
        await disk.TrimAsync(3 * MiB, MiB, None);
        await disk.WriteAsync(7 * MiB, Bytes(9), WriteFlags.None, None);
        return file.AfterKill(file.EventCount);
    }

    /// <summary>Over <see cref="FuzzParent"/>: a block with a few sectors of its own, one that is all its own, one zeroed, closed.</summary>
    public static async ValueTask<MemoryFile> ChildAsync()
    {
        var file = await EmptyAsync(ChildOptions);
        await using (var disk = await OpenAsync(file, FuzzParent.Open()))
            await ChangeChildAsync(disk);
        return file.Reopen();
    }

    /// <summary>The same, killed: bitmaps and entries are in the log, flushed or not.</summary>
    /// <param name="boot">As for <see cref="KilledAsync"/>.</param>
    public static async ValueTask<MemoryFile> KilledChildAsync(Guid boot = default)
    {
        var file = new CrashFile(await EmptyAsync(ChildOptions));
        await using var disk = await OpenAsync(file, FuzzParent.Open(), boot);
        await ChangeChildAsync(disk);
        await disk.FlushAsync(None);
        await disk.WriteAsync(6 * MiB, Bytes(9), WriteFlags.None, None);
        await disk.TrimAsync(4 * MiB, MiB, None);
        return file.AfterKill(file.EventCount);
    }

    /// <summary>Fixed, with content.</summary>
    public static ValueTask<MemoryFile> FixedAsync() =>
        WithContentAsync(new VhdxCreateOptions { Size = (4 * MiB) + 512, BlockSize = MiB, Fixed = true, PhysicalSectorSize = 512 });

    /// <summary>Big enough for entries of sector bitmaps between those of blocks.</summary>
    public static ValueTask<MemoryFile> HugeAsync() => WithContentAsync(new VhdxCreateOptions { Size = 1L << 40, BlockSize = 8 * MiB });

    public static Area Header(string name, long offset) => new(name, offset, 80,
        [new(0, 4), new(4, 4), new(8, 8), new(16, 16), new(32, 16), new(48, 16), new(64, 2), new(66, 2), new(68, 4), new(72, 8)]);

    public static Area RegionTable(string name, long offset) => new(name, offset, 16 + (4 * 32),
        [new(0, 4), new(4, 4), new(8, 4), new(8, 4), .. Enumerable.Range(0, 3).SelectMany(index => RegionEntry(16 + (32 * index)))]);

    public static Area MetadataTable() => new("metadata table", MetadataOffset, 32 * 8,
        [new(0, 8), new(10, 2), .. Enumerable.Range(1, 6).SelectMany(index => MetadataEntry(32 * index))]);

    /// <summary>The items as Godwit lays them out: parameters, size, identifier, logical and physical sector.</summary>
    public static Area MetadataItems() => new("metadata items", MetadataOffset + (64 << 10), 40,
        [new(0, 4), new(4, 4), new(8, 8), new(16, 16), new(32, 4), new(36, 4)]);

    /// <summary>The locator's header, and offset and length of each key and value.</summary>
    public static Area Locator() => new("parent locator", LocatorOffset, 20 + (3 * 12),
        [new(0, 16), new(16, 2), new(18, 2), .. Enumerable.Range(0, 3).SelectMany(index => LocatorPair(20 + (index * 12)))]);

    /// <summary>Keys and values.</summary>
    public static Area LocatorTexts() => new("texts of the parent locator", LocatorOffset + 20 + (3 * 12), 256, []);

    /// <summary>The one entry of a sector bitmap that a small disk with a parent has, behind the payload entries of its chunk.</summary>
    public static Area BitmapEntry() => new("entry of the sector bitmap", BatOffset + (BitmapEntryIndex * 8), 8, [new(0, 8)]);

    /// <summary>The sector bitmap of the first blocks.</summary>
    public static async ValueTask<IReadOnlyList<Area>> BitmapAsync(MemoryFile file)
    {
        var entry = BitConverter.ToInt64(await file.ReadBytesAsync(BatOffset + (BitmapEntryIndex * 8), 8));
        return entry == 0 ? [] : [new Area("sector bitmap", entry >> 20 << 20, 8 * 256, [.. Enumerable.Range(0, 8).Select(block => new Field(block * 256, 8))])];
    }

    public static Area Table(int entries) =>
        new("block allocation table", BatOffset, entries * 8, [.. Enumerable.Range(0, entries).Select(index => new Field(index * 8, 8))]);

    /// <summary>One sector of the log as if an entry started there.</summary>
    public static Area LogEntry(int sector) => new($"log entry at sector {sector}", MiB + (sector * 4096), 64 + (32 * 4),
        [new(0, 4), new(8, 4), new(12, 4), new(16, 8), new(24, 4), new(32, 16), new(48, 8), new(56, 8),
            .. Enumerable.Range(0, 4).SelectMany(index => Descriptor(64 + (32 * index)))]);

    public static byte[] Bytes(int seed)
    {
        var bytes = new byte[8192];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static async ValueTask<MemoryFile> EmptyAsync(VhdxCreateOptions options)
    {
        var file = new MemoryFile(path: "fuzz.vhdx");
        await VhdxDisk.CreateAsync(file, options with { LogSize = LogLength, NewGuid = Guids(), DiskId = Guid.Empty }, None);
        return file;
    }

    private static VhdxCreateOptions ChildOptions => new() { Size = 8 * MiB, BlockSize = MiB, Parent = FuzzParent.Link };

    private static async ValueTask ChangeChildAsync(VhdxDisk disk)
    {
        await disk.WriteAsync(4096, Bytes(1), WriteFlags.None, None);
        await disk.WriteAsync(MiB, new byte[MiB], WriteFlags.None, None);
        await disk.WriteAsync(4 * MiB, Bytes(2), WriteFlags.None, None);
        await disk.WriteZeroesAsync(2 * MiB, MiB, WriteFlags.None, None);
    }

    private static ValueTask<VhdxDisk> OpenAsync(Storage.Files.IStorageFile file, BlockDevice? parent = null, Guid boot = default) =>
        VhdxDisk.OpenAsync(file, new VhdxOpenOptions { NewGuid = Guids(), Parent = parent, BootId = boot }, None);

    private static Field[] RegionEntry(int at) => [new(at, 16), new(at + 16, 8), new(at + 24, 4), new(at + 28, 4)];

    private static Field[] MetadataEntry(int at) => [new(at, 16), new(at + 16, 4), new(at + 20, 4), new(at + 24, 4)];

    private static Field[] LocatorPair(int at) => [new(at, 4), new(at + 4, 4), new(at + 8, 2), new(at + 10, 2)];

    private static Field[] Descriptor(int at) => [new(at, 4), new(at + 4, 4), new(at + 8, 8), new(at + 16, 8), new(at + 24, 8)];
}
