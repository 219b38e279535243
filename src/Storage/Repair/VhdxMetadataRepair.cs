using System.Buffers.Binary;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Repair;

/// <summary>Puts right what other facts of the metadata region tell: its signature, its count of items, the physical sector size.</summary>
/// <remarks>[MS-VHDX] section 2.6. Block size, disk size and logical sector size stand in one place only: nothing can restore them.</remarks>
internal static class VhdxMetadataRepair
{
    private const int EntryLength = 32;
    private const int CountAt = 10;

    /// <summary>Makes the region readable.</summary>
    /// <returns>What it says, or null when it stays unreadable.</returns>
    public static async ValueTask<VhdxMetadata?> RunAsync(RepairWork work, VhdxRegion region, CancellationToken cancellationToken)
    {
        if (await TryReadAsync(work, region, cancellationToken).ConfigureAwait(false) is (VhdxMetadata sound, _))
            return sound;
        var (_, problem) = await TryReadAsync(work, region, cancellationToken).ConfigureAwait(false);
        if (problem!.Kind == StorageErrorKind.Unsupported)
        {
            work.Impossible(problem.Offset, problem.Reason, "only a program that knows this item may change the file");
            return null;
        }

        var trial = new RepairWork(new DraftFile(work.File), work.Options);
        await MendTableAsync(trial, region, cancellationToken).ConfigureAwait(false);
        if ((await TryReadAsync(trial, region, cancellationToken).ConfigureAwait(false)).Metadata is not null)
        {
            await MendTableAsync(work, region, cancellationToken).ConfigureAwait(false);
            work.Mended(region.Offset, problem.Reason, "signature and number of items are written again: all the items are there and say what they must");
        }
        else if (!await MendPhysicalAsync(work, region, problem, cancellationToken).ConfigureAwait(false))
        {
            return null;
        }

        return (await TryReadAsync(work, region, cancellationToken).ConfigureAwait(false)).Metadata;
    }

    private static async ValueTask<(VhdxMetadata? Metadata, StorageException? Problem)> TryReadAsync(
        RepairWork work, VhdxRegion region, CancellationToken cancellationToken)
    {
        try
        {
            return (await VhdxMetadata.ReadAsync(work.File, region, cancellationToken).ConfigureAwait(false), null);
        }
        catch (StorageException e) when (e.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported)
        {
            return (null, e);
        }
    }

    private static async ValueTask MendTableAsync(RepairWork work, VhdxRegion region, CancellationToken cancellationToken)
    {
        var table = new byte[VhdxFormat.MetadataTableLength];
        await work.File.ReadAsync(region.Offset, table, cancellationToken).ConfigureAwait(false);
        VhdxFormat.MetadataSignature.CopyTo(table);
        ushort count = 0;
        while ((count + 2) * EntryLength <= table.Length && table.AsSpan((count + 1) * EntryLength, EntryLength).ContainsAnyExcept((byte)0))
            count++;
        BinaryPrimitives.WriteUInt16LittleEndian(table.AsSpan(CountAt), count);
        await work.File.WriteAsync(region.Offset, table.AsMemory(0, EntryLength), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>A hint to the guest, which every reader wants to be one of two numbers.</summary>
    private static async ValueTask<bool> MendPhysicalAsync(
        RepairWork work, VhdxRegion region, StorageException problem, CancellationToken cancellationToken)
    {
        var trial = new DraftFile(work.File);
        long at = 0;
        try
        {
            var table = await VhdxMetadata.ReadTableAsync(work.File, region, cancellationToken).ConfigureAwait(false);
            await table.ReadAsync(VhdxFormat.PhysicalSectorSizeItem, "physical sector size", sizeof(uint), cancellationToken).ConfigureAwait(false);
            at = table.OffsetOf(VhdxFormat.PhysicalSectorSizeItem);
            await trial.WriteAsync(at, BitConverter.GetBytes(4096), cancellationToken).ConfigureAwait(false);
            await VhdxMetadata.ReadAsync(trial, region, cancellationToken).ConfigureAwait(false);
        }
        catch (StorageException e) when (e.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported)
        {
            work.Impossible(problem.Offset, problem.Reason,
                "nothing else in the file tells what stood there; take the image from a backup, or search the file's bytes with a recovery program");
            return false;
        }

        if (!work.MayGiveUp(at, problem.Reason, "4096 is written, what nearly all images have; no byte of the disk changes"))
            return false;
        await work.File.WriteAsync(at, BitConverter.GetBytes(4096), cancellationToken).ConfigureAwait(false);
        return true;
    }
}
