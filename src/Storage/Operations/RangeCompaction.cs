using Godwit.Storage.FileSystems;
using Godwit.Storage.Formats;

namespace Godwit.Storage.Operations;

/// <summary>Compacts a disk whose every byte has its place in the file: the host gets the space of zeroes and of free ranges back.</summary>
internal sealed class RangeCompaction(BlockDevice device, IPunchableDisk disk, DiskFreeSpace? free, bool dryRun, Action<OperationProgress> progress)
{
    private const long Step = 64 << 20;
    private readonly CompactTally _tally = new();
    private readonly PageScan _scan = new(device, free);
    private bool _identityChanged;

    /// <summary>Does it, or only counts.</summary>
    /// <exception cref="StorageException">The image failed; another run goes on.</exception>
    public async ValueTask<CompactTally> RunAsync(CancellationToken cancellationToken)
    {
        for (long at = 0; at < device.Length; at += Step)
        {
            progress(new OperationProgress("Scanning", at, device.Length));
            await _scan.RunAsync(at, Math.Min(at + Step, device.Length), run => PunchAsync(run, cancellationToken), cancellationToken).ConfigureAwait(false);
        }

        if (!dryRun)
            await device.FlushAsync(cancellationToken).ConfigureAwait(false);
        progress(new OperationProgress("Scanning", device.Length, device.Length));
        return _tally;
    }

    private async ValueTask PunchAsync(PageRun run, CancellationToken cancellationToken)
    {
        _tally.Zero += run.Length - run.Unused;
        _tally.Unused += run.Unused;
        if (dryRun)
            return;

        // Children record what the base of a chain holds; zeroes that become a hole change nothing.
        if (!_identityChanged && run.Unused > 0 && device is IPackedDisk identified)
        {
            await identified.ChangeIdentityAsync().ConfigureAwait(false);
            _identityChanged = true;
        }

        await disk.PunchAsync(run.Start, run.Length, cancellationToken).ConfigureAwait(false);
    }
}
