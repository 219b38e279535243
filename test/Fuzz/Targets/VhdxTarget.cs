using System.Buffers.Binary;
using Godwit.Fuzz.Engine;
using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Targets;

/// <summary>A target that attacks a structure of VHDX.</summary>
internal abstract class VhdxTarget : FuzzTarget
{
    private const int ChecksumAt = 4;

    // The log of every image is here; a changed header may name another one, whose checksums are nobody's business then.
    private const long LogOffset = 1 << 20;
    /// <summary>The start of the computer in which images are opened.</summary>
    protected static readonly Guid Boot = new("0f0e0d0c-0b0a-0908-0706-050403020100");

    private static readonly (long Offset, int Length)[] Checked =
    [
        (VhdxFormat.FirstHeaderOffset, VhdxHeader.Length),
        (VhdxFormat.SecondHeaderOffset, VhdxHeader.Length),
        (VhdxFormat.FirstRegionTableOffset, VhdxFormat.RegionTableLength),
        (VhdxFormat.SecondRegionTableOffset, VhdxFormat.RegionTableLength),
    ];

    private readonly byte[] _log = new byte[VhdxImages.LogLength];
    private readonly DiskExercise _exercise;

    protected VhdxTarget() => _exercise = new DiskExercise(OpenAsync, file => VhdxCheck.RunAsync(file, CancellationToken.None));

    /// <summary>Some images have a parent, which is then given to them. Without, one that claims a parent is refused.</summary>
    protected virtual bool HasChildren => false;

    protected override ValueTask ExerciseAsync(MemoryFile file, Signals signals) => _exercise.RunAsync(file, signals);

    protected override async ValueTask SealAsync(MemoryFile file, FuzzImage image, FuzzInput input)
    {
        foreach (var (offset, length) in Checked)
        {
            if (input.Touches(offset, length) && offset + length <= file.Length)
                await SealStructureAsync(file, offset, length);
        }

        if (input.Touches(LogOffset, VhdxImages.LogLength) && LogOffset + VhdxImages.LogLength <= file.Length)
            await SealLogAsync(file, repeats: input.Seals.HasFlag(Seals.Repeats));
    }

    private async ValueTask<BlockDevice> OpenAsync(IStorageFile file, bool readOnly)
    {
        var link = HasChildren ? (await VhdxDisk.DescribeAsync(file, CancellationToken.None)).Parent : null;
        var options = new VhdxOpenOptions
        {
            ReadOnly = readOnly,
            BootId = Boot,
            NewGuid = VhdxImages.Guids(),
            Parent = FuzzParent.OpenFor(link),
        };
        return await VhdxDisk.OpenAsync(file, options, CancellationToken.None);
    }

    private static async ValueTask SealStructureAsync(MemoryFile file, long offset, int length)
    {
        var bytes = await file.ReadBytesAsync(offset, length);
        var checksum = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(checksum, Crc32C.OfStructure(bytes, ChecksumAt));
        await file.WriteAsync(offset + ChecksumAt, checksum, CancellationToken.None);
    }

    /// <summary>Puts every entry of the log right that says where it ends.</summary>
    private async ValueTask SealLogAsync(MemoryFile file, bool repeats)
    {
        await file.ReadAsync(LogOffset, _log, CancellationToken.None);
        for (var at = 0; at < _log.Length; at += VhdxFormat.PageSize)
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(_log.AsSpan(at)) != VhdxFormat.LogEntrySignature || SealEntry(_log, at, repeats) is not int length)
                continue;
            var first = Math.Min(length, _log.Length - at);
            await file.WriteAsync(LogOffset + at, _log.AsMemory(at, first), CancellationToken.None);
            await file.WriteAsync(LogOffset, _log.AsMemory(0, length - first), CancellationToken.None);
        }
    }

    /// <returns>Bytes of the entry; null when it does not say.</returns>
    private static int? SealEntry(byte[] log, int at, bool repeats)
    {
        var length = BinaryPrimitives.ReadUInt32LittleEndian(log.AsSpan(at + 8));
        if (length < VhdxFormat.PageSize || length > log.Length || length % VhdxFormat.PageSize != 0)
            return null;

        // Straightened out, because an entry may run around the end of the log.
        var entry = new byte[length];
        var first = (int)Math.Min(length, log.Length - at);
        log.AsSpan(at, first).CopyTo(entry);
        log.AsSpan(0, (int)length - first).CopyTo(entry.AsSpan(first));
        if (repeats)
            RepeatSequence(entry);
        BinaryPrimitives.WriteUInt32LittleEndian(entry.AsSpan(ChecksumAt), Crc32C.OfStructure(entry, ChecksumAt));
        entry.AsSpan(0, first).CopyTo(log.AsSpan(at));
        entry.AsSpan(first).CopyTo(log);
        return (int)length;
    }

    /// <summary>Writes the entry's sequence number into its descriptors and data sectors.</summary>
    private static void RepeatSequence(byte[] entry)
    {
        var sequence = BinaryPrimitives.ReadUInt64LittleEndian(entry.AsSpan(16));
        var count = BinaryPrimitives.ReadUInt32LittleEndian(entry.AsSpan(24));
        var end = VhdxLogEntryHeader.Size;
        for (; count > 0 && end + VhdxLogEntryHeader.DescriptorSize <= entry.Length; count--, end += VhdxLogEntryHeader.DescriptorSize)
            BinaryPrimitives.WriteUInt64LittleEndian(entry.AsSpan(end + 24), sequence);
        for (var at = (int)VhdxFormat.AlignUp(end, VhdxFormat.PageSize); at < entry.Length; at += VhdxFormat.PageSize)
        {
            var sector = entry.AsSpan(at, VhdxFormat.PageSize);
            BinaryPrimitives.WriteUInt32LittleEndian(sector, VhdxFormat.DataSectorSignature);
            BinaryPrimitives.WriteUInt32LittleEndian(sector[4..], (uint)(sequence >> 32));
            BinaryPrimitives.WriteUInt32LittleEndian(sector[^4..], (uint)sequence);
        }
    }
}
