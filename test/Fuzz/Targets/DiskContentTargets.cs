using System.Buffers.Binary;
using Godwit.Fuzz.Engine;
using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Partitions;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Targets;

/// <summary>File systems, as compact asks them for their free space.</summary>
internal sealed class FileSystemTarget : FuzzTarget
{
    public override string Name => "file-system";

    public override string What => "ext, NTFS, FAT and exFAT: what says that space is free";

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync() =>
    [
        new("ext", await FileSystemImages.ExtAsync(),
        [
            Numbers("superblock", 1024, 104, 4), Numbers("superblock's short numbers", 1024 + 52, 40, 2), Numbers("group descriptors", 2048, 64, 4),
            Numbers("flags and counts of groups", 2048 + 12, 40, 2), Numbers("block bitmap", 3072, 64, 8),
        ]),
        new("ntfs", await NtfsImage.CreateAsync(),
        [
            Numbers("boot sector", 8, 64, 1), Numbers("restart page", NtfsImage.LogOffset, 64, 2), Numbers("bitmap", NtfsImage.BitmapOffset, 32, 8),
            .. ((int[])[0, 2, 3, 5, 6, 7]).Select(record => Numbers($"record {record}", NtfsImage.TableOffset + (record * NtfsImage.RecordSize), 256, 2)),
        ]),
        new("exfat", await FileSystemImages.ExfatAsync(),
            [Numbers("boot sector", 72, 40, 4), Numbers("shifts and flags", 104, 8, 1), Numbers("bitmap", 128 * 512, 32, 8), Numbers("root folder", (128 * 512) + 4096, 64, 4)]),
        await FatAsync(12, reserved: 1),
        await FatAsync(16, reserved: 1),
        await FatAsync(32, reserved: 32),
    ];

    protected override ValueTask SealAsync(MemoryFile file, FuzzImage image, FuzzInput input) => ValueTask.CompletedTask;

    protected override ValueTask ExerciseAsync(MemoryFile file, Signals signals) => FreeSpaceExercise.RunAsync(file, signals);

    private static async ValueTask<FuzzImage> FatAsync(int bits, int reserved) => new($"fat{bits}", await FileSystemImages.FatAsync(bits),
    [
        Numbers("boot sector", 11, 5, 1), Numbers("boot sector's numbers", 14, 30, 2), Numbers("boot sector's end", 64, 4, 1),
        Numbers("table", reserved * 512, 256, 4),
    ]);

    private static Area Numbers(string name, long offset, int length, int width) =>
        new(name, offset, length, [.. Enumerable.Range(0, length / width).Select(index => new Field(index * width, width))]);
}

/// <summary>Partition tables, as resize and compact read them and as resize moves them.</summary>
internal sealed class PartitionTarget : FuzzTarget
{
    private const int Sector = RawDisk.Sector;
    private const int Size = 2 << 20;
    private const int Entries = 128 * 128;
    private static readonly CancellationToken None = CancellationToken.None;

    public override string Name => "partitions";

    public override string What => "MBR with logical partitions, GPT: tables and their move";

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync()
    {
        var mbr = new MemoryFile(path: "mbr");
        var gpt = new MemoryFile(path: "gpt");
        foreach (var file in new[] { mbr, gpt })
            await file.SetLengthAsync(Size, None);
        await using (var disk = RawDisk.Open(mbr.Reopen()))
        {
            await TableOfTest.WriteMbrAsync(disk, 0, (0x83, 64, 512), (5, 1024, 2048));
            await TableOfTest.WriteMbrAsync(disk, 1024, (0x83, 8, 256), (5, 512, 512));
            await TableOfTest.WriteMbrAsync(disk, 1536, (0x83, 8, 256));
        }

        await using (var disk = RawDisk.Open(gpt.Reopen()))
            await TableOfTest.WriteGptAsync(disk, Sector, 0, (64, 127), (512, 1023));
        return
        [
            new FuzzImage("mbr", mbr, [Mbr(0), Mbr(1024), Mbr(1536)]),
            new FuzzImage("gpt", gpt, [Mbr(0), Header(1), EntriesAt(2), Header((Size / Sector) - 1), EntriesAt((Size / Sector) - 33)]),
        ];
    }

    protected override async ValueTask SealAsync(MemoryFile file, FuzzImage image, FuzzInput input)
    {
        foreach (var (header, entries) in new[] { (Sector, 2 * Sector), (Size - Sector, Size - (33 * Sector)) })
        {
            if (file.Length < Size || !(input.Touches(header, Sector) || input.Touches(entries, Entries)))
                continue;
            var bytes = await file.ReadBytesAsync(header, Sector);
            var count = (long)BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(GptLayout.EntryCount)) * BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(GptLayout.EntrySize));
            var listed = await file.ReadBytesAsync(entries, (int)Math.Clamp(count, 0, Entries));
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(GptLayout.EntriesCrc), Crc32.Of(listed));
            TableOfTest.Seal(bytes);
            await file.WriteAsync(header, bytes, None);
        }
    }

    protected override ValueTask ExerciseAsync(MemoryFile file, Signals signals) => FreeSpaceExercise.RunAsync(file, signals);

    private static Area Mbr(int sector) => new($"table in sector {sector}", (sector * Sector) + 446, 66,
        [.. Enumerable.Range(0, 4).SelectMany(static entry => (Field[])[new((entry * 16) + 4, 1), new((entry * 16) + 8, 4), new((entry * 16) + 12, 4)]), new(64, 2)]);

    private static Area Header(int sector) => new($"header in sector {sector}", sector * Sector, 92,
        [new(0, 8), new(8, 4), new(12, 4), new(16, 4), new(24, 8), new(32, 8), new(40, 8), new(48, 8), new(56, 16), new(72, 8), new(80, 4), new(84, 4), new(88, 4)]);

    private static Area EntriesAt(int sector) => new($"entries from sector {sector} on", sector * Sector, 3 * 128,
        [.. Enumerable.Range(0, 3).SelectMany(static entry => (Field[])[new(entry * 128, 16), new((entry * 128) + 32, 8), new((entry * 128) + 40, 8), new((entry * 128) + 48, 8)])]);
}
