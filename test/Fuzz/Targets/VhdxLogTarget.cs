using Godwit.Fuzz.Engine;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Targets;

/// <summary>The log: entries, descriptors, data sectors, several sequences, entries around the end.</summary>
internal sealed class VhdxLogTarget : VhdxTarget
{
    private static readonly Guid Log = new("11111111-2222-3333-4444-555555555555");

    public override string Name => "vhdx-log";

    public override string What => "VHDX: log entries and their replay";

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync()
    {
        IReadOnlyList<Area> killed =
        [
            .. Enumerable.Range(0, 8).Select(index => VhdxImages.LogEntry(index * 2)),
            VhdxImages.Header("first header", VhdxFormat.FirstHeaderOffset),
            VhdxImages.Header("second header", VhdxFormat.SecondHeaderOffset),
        ];
        IReadOnlyList<Area> crafted = [.. new[] { 0, 1, 2, 20, 22, 24, 253, 255 }.Select(VhdxImages.LogEntry), .. killed.TakeLast(2)];
        return
        [
            new FuzzImage("killed", await VhdxImages.KilledAsync(), killed),
            new FuzzImage("crafted", await CraftedAsync(), crafted),
            new FuzzImage("killed just now", await VhdxImages.KilledAsync(Boot), killed),
        ];
    }

    /// <summary>Three sequences: an old one, one with zeroes and an empty entry, and the newest around the end of the log.</summary>
    private static async ValueTask<MemoryFile> CraftedAsync()
    {
        var file = await VhdxImages.WithContentAsync();
        await file.SetLengthAsync(10 * VhdxImages.MiB, CancellationToken.None);
        var header = VhdxHeader.TryParse(await file.ReadBytesAsync(VhdxFormat.SecondHeaderOffset, VhdxHeader.Length), out _)!;
        header = header with { Sequence = header.Sequence + 10, LogGuid = Log };
        await file.WriteAsync(VhdxFormat.FirstHeaderOffset, header.ToBytes(), CancellationToken.None);
        await PutAsync(file, 20, Entry(sequence: 3, tail: 20, pages: 1, zeroes: 0));
        await PutAsync(file, 22, Entry(sequence: 4, tail: 20, pages: 0, zeroes: 2));
        await PutAsync(file, 23, Entry(sequence: 5, tail: 23, pages: 0, zeroes: 0));
        await PutAsync(file, 253, Entry(sequence: 8, tail: 253, pages: 1, zeroes: 1));
        await PutAsync(file, 255, Entry(sequence: 9, tail: 253, pages: 2, zeroes: 0));
        return file;
    }

    private static byte[] Entry(ulong sequence, int tail, int pages, int zeroes)
    {
        var entry = new byte[(1 + pages) * VhdxFormat.PageSize];
        new VhdxLogEntryHeader(
            (uint)entry.Length, (uint)(tail * VhdxFormat.PageSize), sequence, (uint)(pages + zeroes), Log, 4 << 20, 10 << 20).Write(entry);
        for (var index = 0; index < pages + zeroes; index++)
        {
            // Behind every block, so that a replay changes nothing a check looks at.
            var target = (8L << 20) + (index * VhdxFormat.PageSize);
            var descriptor = entry.AsSpan(VhdxLogEntryHeader.Size + (index * VhdxLogEntryHeader.DescriptorSize), VhdxLogEntryHeader.DescriptorSize);
            if (index < pages)
                VhdxLogDescriptor.WriteData(descriptor, entry.AsSpan((1 + index) * VhdxFormat.PageSize, VhdxFormat.PageSize), target, sequence);
            else
                WriteZero(descriptor, target, sequence);
        }

        BitConverter.TryWriteBytes(entry.AsSpan(VhdxLogEntryHeader.ChecksumAt), Crc32C.OfStructure(entry, VhdxLogEntryHeader.ChecksumAt));
        return entry;
    }

    private static void WriteZero(Span<byte> descriptor, long target, ulong sequence)
    {
        BitConverter.TryWriteBytes(descriptor, VhdxFormat.ZeroDescriptorSignature);
        BitConverter.TryWriteBytes(descriptor[8..], (long)VhdxFormat.PageSize);
        BitConverter.TryWriteBytes(descriptor[16..], target);
        BitConverter.TryWriteBytes(descriptor[24..], sequence);
    }

    private static async ValueTask PutAsync(MemoryFile file, int sector, byte[] entry)
    {
        for (var at = 0; at < entry.Length; at += VhdxFormat.PageSize)
        {
            var inLog = ((sector * VhdxFormat.PageSize) + at) % VhdxImages.LogLength;
            await file.WriteAsync(VhdxImages.MiB + inLog, entry.AsMemory(at, VhdxFormat.PageSize), CancellationToken.None);
        }
    }
}
