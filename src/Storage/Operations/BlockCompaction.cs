using Godwit.Storage.FileSystems;
using Godwit.Storage.Formats;

namespace Godwit.Storage.Operations;

/// <summary>Compacts a disk of blocks: takes places away, then packs the rest to the front of the file.</summary>
internal sealed class BlockCompaction(
    BlockDevice device, IPackedDisk disk, DiskFreeSpace? free, bool dryRun, long batchBytes, Action<OperationProgress> progress)
{
    private const int BlocksPerDrop = 1024;
    private readonly FreeRanges _ranges = new(free);
    private readonly PageScan _scan = new(device, free);
    private readonly ParentComparison? _parent = disk.ParentDevice is BlockDevice parent ? new(device, parent) : null;
    private readonly CompactTally _tally = new();
    private readonly byte[] _buffer = new byte[1 << 20];
    private readonly List<DroppedBlock> _drop = [];
    private bool _canPunch = device is IPunchableDisk;
    private bool _dropsUnused;
    private bool _identityChanged;

    private enum BlockUse
    {
        Used,
        Zero,
        Unused,
    }

    /// <summary>Does it, or only counts.</summary>
    /// <exception cref="StorageException">The image failed; it is sound, and another run goes on.</exception>
    public async ValueTask<CompactTally> RunAsync(CancellationToken cancellationToken)
    {
        _tally.Empty = await disk.CountFreeAsync(cancellationToken).ConfigureAwait(false);
        await ScanAsync(await CountPlacedAsync(cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
        if (dryRun)
        {
            _tally.LengthAfter = Math.Max(0, disk.FileLength - _tally.Empty - _tally.Zero - _tally.Unused - _tally.Equal);
            return _tally;
        }

        await DropAsync(cancellationToken).ConfigureAwait(false);
        await device.FlushAsync(cancellationToken).ConfigureAwait(false);
        _tally.BlocksMoved = await disk.PackAsync(
            batchBytes, (done, total) => progress(new OperationProgress("Moving", done, total)), cancellationToken).ConfigureAwait(false);
        _tally.LengthAfter = disk.FileLength;
        return _tally;
    }

    private long StartOf(long block) => block * disk.BytesPerBlock;

    private long EndOf(long block) => Math.Min(StartOf(block + 1), device.Length);

    private async ValueTask<long> CountPlacedAsync(CancellationToken cancellationToken)
    {
        long count = 0;
        for (var block = await disk.NextPlacedAsync(0, cancellationToken).ConfigureAwait(false); block < disk.BlockCount;)
        {
            count++;
            block = await disk.NextPlacedAsync(block + 1, cancellationToken).ConfigureAwait(false);
        }

        return count;
    }

    private async ValueTask ScanAsync(long count, CancellationToken cancellationToken)
    {
        long done = 0;
        for (long block = 0; ; block++)
        {
            progress(new OperationProgress("Scanning", done * disk.BytesPerBlock, count * disk.BytesPerBlock));
            block = await disk.NextPlacedAsync(block, cancellationToken).ConfigureAwait(false);
            if (block >= disk.BlockCount)
                return;
            cancellationToken.ThrowIfCancellationRequested();
            await LookAtAsync(block, cancellationToken).ConfigureAwait(false);
            done++;
        }
    }

    private async ValueTask LookAtAsync(long block, CancellationToken cancellationToken)
    {
        var use = await UseOfAsync(block, cancellationToken).ConfigureAwait(false);
        if (use != BlockUse.Used && await disk.CanDropAsync(block, cancellationToken).ConfigureAwait(false))
        {
            _tally.Zero += use == BlockUse.Zero ? disk.BytesPerBlock : 0;
            _tally.Unused += use == BlockUse.Unused ? disk.BytesPerBlock : 0;
            _dropsUnused |= use == BlockUse.Unused;
            _drop.Add(new DroppedBlock(block, ShowsParent: false));
        }
        else if (_parent is not null && await _parent.IsEqualAsync(StartOf(block), EndOf(block), cancellationToken).ConfigureAwait(false))
        {
            _tally.Equal += disk.BytesPerBlock;
            _drop.Add(new DroppedBlock(block, ShowsParent: true));
        }
        else
        {
            await _scan.RunAsync(StartOf(block), EndOf(block), run => PunchInsideAsync(run, cancellationToken), cancellationToken).ConfigureAwait(false);
        }

        if (_drop.Count == BlocksPerDrop)
            await DropAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Whether anything in a block is neither zero nor free. Stops at the first such byte.</summary>
    private async ValueTask<BlockUse> UseOfAsync(long block, CancellationToken cancellationToken)
    {
        var use = BlockUse.Zero;
        for (long at = StartOf(block), end = EndOf(block); at < end;)
        {
            var extent = await device.GetExtentAsync(at, end - at, cancellationToken).ConfigureAwait(false);
            if (extent.ReadsAsZeroes)
            {
                at = extent.End;
                continue;
            }

            var part = _buffer.AsMemory(0, (int)Math.Min(extent.Length, _buffer.Length));
            await device.ReadAsync(at, part, cancellationToken).ConfigureAwait(false);
            if (part.Span.ContainsAnyExcept((byte)0))
            {
                if (!await _ranges.CoverAllButZeroesAsync(at, part, cancellationToken).ConfigureAwait(false))
                    return BlockUse.Used;
                use = BlockUse.Unused;
            }

            at += part.Length;
        }

        return use;
    }

    private async ValueTask PunchInsideAsync(PageRun run, CancellationToken cancellationToken)
    {
        if (!_canPunch)
            return;
        _tally.Inside += run.Unused;
        _tally.ZeroInside += run.Length - run.Unused;
        if (dryRun)
            return;
        if (run.Unused > 0)
            await ChangeIdentityAsync().ConfigureAwait(false);
        await ((IPunchableDisk)device).PunchAsync(run.Start, run.Length, cancellationToken).ConfigureAwait(false);

        // A file system without holes writes zeroes instead: once is enough to know.
        if ((await device.GetExtentAsync(run.Start, run.Length, cancellationToken).ConfigureAwait(false)).ReadsAsZeroes)
            return;
        _canPunch = false;
        _tally.Inside -= run.Unused;
        _tally.ZeroInside -= run.Length - run.Unused;
    }

    private async ValueTask DropAsync(CancellationToken cancellationToken)
    {
        if (!dryRun && _drop.Count > 0)
        {
            if (_dropsUnused)
                await ChangeIdentityAsync().ConfigureAwait(false);
            await disk.DropAsync(_drop, cancellationToken).ConfigureAwait(false);
        }

        _drop.Clear();
    }

    private async ValueTask ChangeIdentityAsync()
    {
        if (!_identityChanged)
            await disk.ChangeIdentityAsync().ConfigureAwait(false);
        _identityChanged = true;
    }
}
