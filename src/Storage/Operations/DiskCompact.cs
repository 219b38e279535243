using Godwit.Storage.Chains;
using Godwit.Storage.FileSystems;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Operations;

/// <summary>Makes an image file smaller: gives back what reads as zeroes and what its file systems do not use, moves the rest to the front
/// and cuts the file.</summary>
/// <remarks>What a guest reads never changes, except that space its file systems call free may read as zeroes. Safe at any instant,
/// and another run goes on where one was ended: docs/design/compact.md. Nobody else uses the image meanwhile.</remarks>
public static class DiskCompact
{
    /// <summary>Compacts an image file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="chain">How to open it with its parents; whether for reading only is decided here.</param>
    /// <param name="options">What may be done.</param>
    /// <param name="progress">Told now and then.</param>
    /// <param name="cancellationToken">Stops between steps; the file is sound.</param>
    /// <exception cref="StorageException">The image cannot be opened; it failed; or NoSpace for a single block. It is sound then.</exception>
    public static async ValueTask<CompactResult> RunAsync(
        string path, ChainOptions chain, CompactOptions options, Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        // What may go is told by what the parent reads as, so it must be the right one.
        chain = chain with { IgnoreParentMismatch = false };
        var before = await DiskImage.DescribeAsync(path, chain.Format, cancellationToken).ConfigureAwait(false);
        string? child = null;
        if (!options.ZeroesOnly && before.Linkage is not null)
        {
            HashSet<string> own = [Path.GetFullPath(path)];
            child = (await OtherChildren.FindAsync(own, own, chain.Paths, cancellationToken).ConfigureAwait(false))?.Child;
        }

        if (child is not null)
            options = options with { ZeroesOnly = true };
        var opened = await DiskChain.OpenAsync(
            path, chain with { ReadOnly = options.DryRun, KeepsLinkage = true }, cancellationToken).ConfigureAwait(false);
        CompactResult result;
        await using (opened.Device.ConfigureAwait(false))
        {
            result = await RunAsync(opened.Device, before.Format, options, progress, cancellationToken).ConfigureAwait(false);
        }

        if (child is not null)
            result = result with { Notes = [$"{child} has it as its parent, so what file systems call free was left alone", .. result.Notes] };
        var after = await DiskImage.DescribeAsync(path, chain.Format, cancellationToken).ConfigureAwait(false);
        return result with { AllocatedBefore = before.AllocatedBytes, AllocatedAfter = after.AllocatedBytes };
    }

    /// <summary>Compacts an open image, which the caller disposes. A VHDX keeps its identity only when it was opened to keep it and nothing
    /// a guest could read has changed.</summary>
    internal static async ValueTask<CompactResult> RunAsync(
        BlockDevice device, ImageFormat format, CompactOptions options, Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        var free = options.ZeroesOnly ? null : await DiskFreeSpace.ReadAsync(device, cancellationToken).ConfigureAwait(false);
        var isFixed = device is not IPackedDisk || device is VhdxDisk { IsFixed: true } or VhdDisk { IsFixed: true };
        var length = FileLengthOf(device);
        CompactTally tally;
        if (!isFixed)
        {
            tally = await new BlockCompaction(device, (IPackedDisk)device, free, options.DryRun, options.BatchBytes, progress).RunAsync(cancellationToken).ConfigureAwait(false);
        }
        else if (device is IPunchableDisk punchable)
        {
            tally = await new RangeCompaction(device, punchable, free, options.DryRun, progress).RunAsync(cancellationToken).ConfigureAwait(false);
            tally.LengthAfter = length;
        }
        else
        {
            throw new StorageException(StorageErrorKind.Unsupported, "an image of this kind cannot be compacted", device.Path, operation: "compact");
        }

        IReadOnlyList<string> notes = isFixed ? ["the file keeps its length: its unused space was given back to the host as holes, and is lost again when it is copied without them"] : [];
        return new CompactResult(
            format, length, tally.LengthAfter, isFixed ? null : ((IPackedDisk)device).BytesPerBlock, tally.Zero, tally.Unused, tally.Inside, tally.Empty,
            tally.BlocksMoved, free?.Partitions ?? [], notes)
        {
            Equal = tally.Equal,
            ZeroInside = tally.ZeroInside,
        };
    }

    private static long FileLengthOf(BlockDevice device) => device is IPackedDisk disk ? disk.FileLength : device.Length;
}
