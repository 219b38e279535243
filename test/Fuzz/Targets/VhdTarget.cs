using System.Buffers.Binary;
using Godwit.Fuzz.Engine;
using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhd;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Targets;

/// <summary>A target that attacks a structure of VHD.</summary>
internal abstract class VhdTarget : FuzzTarget
{
    private const int DataOffsetAt = 16;

    private readonly DiskExercise _exercise = new(OpenAsync, file => VhdCheck.RunAsync(file, CancellationToken.None));

    protected override ValueTask ExerciseAsync(MemoryFile file, Signals signals) => _exercise.RunAsync(file, signals);

    protected override async ValueTask SealAsync(MemoryFile file, FuzzImage image, FuzzInput input)
    {
        // A footer that lost its last byte is one too; its end is where the file ends.
        var length = image.File.Length % VhdFormat.Sector == 0 ? VhdFormat.FooterLength : VhdFormat.ShortFooterLength;
        var last = file.Length - length;
        var atEnd = last > 0 && input.Touches(last, length);
        if (atEnd)
            await SealAsync(file, last, length, VhdImages.FooterChecksumAt);
        if (file.Length < VhdFormat.FooterLength)
            return;
        if (input.Touches(0, VhdFormat.FooterLength))
            await SealAsync(file, 0, VhdFormat.FooterLength, VhdImages.FooterChecksumAt);
        var offset = BinaryPrimitives.ReadInt64BigEndian(await file.ReadBytesAsync(DataOffsetAt, sizeof(long)));
        foreach (var at in new[] { offset, VhdImages.HeaderOffset }.Distinct())
        {
            if (at > 0 && at <= file.Length - VhdFormat.HeaderLength && input.Touches(at, VhdFormat.HeaderLength))
                await SealAsync(file, at, VhdFormat.HeaderLength, VhdImages.HeaderChecksumAt);
        }

        if (input.Seals.HasFlag(Seals.Repeats) && last > VhdFormat.HeaderLength)
            await RepeatFooterAsync(file, last, length, atEnd);
    }

    private static async ValueTask<BlockDevice> OpenAsync(IStorageFile file, bool readOnly)
    {
        var description = await VhdDisk.DescribeAsync(file, CancellationToken.None);
        var options = new VhdOpenOptions
        {
            ReadOnly = readOnly,
            NewGuid = VhdxImages.Guids(),
            Headroom = 1,
            ReusedPerFlush = 8 << 20,
            Parent = FuzzParent.OpenFor(description.Parent),
        };
        return await VhdDisk.OpenAsync(file, options, CancellationToken.None);
    }

    private static async ValueTask SealAsync(MemoryFile file, long offset, int length, int checksumAt)
    {
        var bytes = await file.ReadBytesAsync(offset, length);
        var checksum = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(checksum, VhdFormat.Checksum(bytes, checksumAt));
        await file.WriteAsync(offset + checksumAt, checksum, CancellationToken.None);
    }

    /// <summary>Makes footer and copy alike, so that a change in one is not simply outvoted by the other.</summary>
    private static async ValueTask RepeatFooterAsync(MemoryFile file, long last, int length, bool atEnd)
    {
        var first = await file.ReadBytesAsync(0, VhdFormat.FooterLength);
        if (!first.AsSpan().StartsWith(VhdFormat.FooterCookie))
            return;
        if (atEnd)
            await file.WriteAsync(0, await file.ReadBytesAsync(last, length), CancellationToken.None);
        else
            await file.WriteAsync(last, first.AsMemory(0, length), CancellationToken.None);
    }
}
