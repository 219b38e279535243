using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Worker.Control;
using Godwit.Worker.Interop;
using Godwit.Worker.Serving;

namespace Godwit.Worker.Layers;

/// <summary>What is special about merging the layer that is written to: guests' changes go to both, and in the end its parent stands for it.</summary>
internal sealed partial class DiskMerging
{
    private volatile LeafMergeDisk? _passing;

    /// <summary>Opens the leaf's parent for writing, and from now on lets guests' requests pass what makes their changes in it too.</summary>
    private Task OpenLeafTargetAsync(WorkerMergeConfig merge) => _layers.RebuildAsync(
        null, failure => failure is null ? new DiskLayers.Reopening(merge.Target, chain => Pass(chain)) : default);

    /// <summary>The same for a chain that has been opened so: an earlier worker had begun.</summary>
    private async Task PassOnAsync(WorkerMergeConfig merge)
    {
        var chain = _layers.Chain;
        if (chain.Layers[0].Path != merge.Path || chain.Layers.Count < 2 || chain.Layers[1].Path != merge.Target)
            throw new GodwitException(ErrorCode.WrongState, $"{merge.Target} is not the parent of {merge.Path} any more");
        await _layers.Device.ReplaceAsync((_, _) => ValueTask.FromResult<BlockDevice>(Pass(chain)), CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>The parent stands for the leaf from now on. Requests wait while the chain is closed; whichever of the two worker.json names reads the same.</summary>
    private async Task SwitchAsync(WorkerMergeConfig merge)
    {
        if (!FileStatus.Is(merge.Path, merge.File))
            throw new GodwitException(ErrorCode.NotFound, $"{merge.Path} is gone or was replaced while it was merged", "look after the chain with \"godwit disk info\"");
        var passing = _passing!;
        var target = _layers.Chain.Layers[1].Description.Format;
        if (passing.Failure is { } failure)
        {
            await FailAsync(merge, failure).ConfigureAwait(false);
            return;
        }

        // Before requests are held: the second time has only what came during the first, and so has the one that they wait for.
        for (var round = 0; round < 2; round++)
            await Task.WhenAll(passing.FlushParentAsync().AsTask(), _layers.Device.FlushAsync(CancellationToken.None).AsTask()).ConfigureAwait(false);
        var isEqual = false;
        try
        {
            await _layers.RebuildAsync(
                async () =>
                {
                    passing.ThrowIfFailed();
                    isEqual = true;
                    await SettleAndCommitAsync(merge, target).ConfigureAwait(false);
                },
                _ => ReopenAfterSwitch(merge, isEqual)).ConfigureAwait(false);
        }
        finally
        {
            // What is not passed on any more is copied again, unless it is done.
            if (_passing is null && _running is { } running)
                await LeaveAsync(running).ConfigureAwait(false);
        }
    }

    private async Task SettleAndCommitAsync(WorkerMergeConfig merge, ImageFormat target)
    {
        Reached("leaf-closed");
        await ChainMerge.SettleLeafAsync(merge.Path, merge.Target, target).ConfigureAwait(false);
        Reached("leaf-settled");
        CommitPoint.Pass(_context, [_context.Name], entry => Committed(entry, merge, target.ToApi()), () => IsCommitted(merge));
        Reached("leaf-committed");
    }

    private DiskLayers.Reopening ReopenAfterSwitch(WorkerMergeConfig merge, bool isEqual)
    {
        _passing = null;

        // Not committed, but both were closed cleanly and hold the same: nothing is copied again.
        return isEqual && !IsCommitted(merge)
            ? new DiskLayers.Reopening(merge.Target, chain => Pass(chain, isCopied: true))
            : default;
    }

    /// <summary>What serves the guest from now on; it owns the chain, and whoever serves it closes it.</summary>
    private LeafMergeDisk Pass(DiskChain chain, bool isCopied = false)
    {
        var passing = new LeafMergeDisk(chain, isCopied);
        _passing = passing;
        return passing;
    }

    private bool IsCommitted(WorkerMergeConfig merge) => _context.Entry.Disk.Path == merge.Target;

    private static WorkerDiskConfig Committed(WorkerDiskConfig entry, WorkerMergeConfig merge, Api.Disks.DiskFormat format) => entry with
    {
        Disk = entry.Disk with { Path = merge.Target, Format = format },
        Merge = entry.Merge! with { State = MergeState.Removing },
    };

    private async Task FailAsync(WorkerMergeConfig merge, Exception failure)
    {
        await StopAndCloseTargetAsync().ConfigureAwait(false);
        Fail(merge, Problems.TryOf(failure) ?? new Problem(ErrorCode.Internal, $"{failure.GetType().Name}: {failure.Message}", "see worker.log"));
    }
}
