using Godwit.Storage.Chains;
using Godwit.Storage.Decorators;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;

namespace Godwit.Storage.Operations;

/// <summary>Copies what a layer below the leaf holds into its parent, while the chain is open and in use.</summary>
/// <remarks>
/// <para>Nobody sees it: the layer still covers what is written beneath it. The parent has to be open for writing in the chain
/// (<see cref="ChainOptions.WritableLayer"/>) and is written to through the very device that readers use, so that they see its table as it is.</para>
/// <para>What comes after it, <see cref="ChainMerge.SettleAsync"/>, needs the chain closed. One run per object.</para>
/// </remarks>
public sealed class LiveMerge : ILayerMerge
{
    private readonly ChainLayer _merged;
    private readonly BlockDevice _target;
    private readonly LiveMergeOptions _options;
    private readonly MergePace _pace;
    private long _done;
    private long _total;

    /// <summary>Prepares the copy.</summary>
    /// <param name="chain">The chain; stays the caller's.</param>
    /// <param name="merged">The layer to merge, by its number in the chain: not the leaf, and not the base.</param>
    /// <param name="options">How.</param>
    /// <exception cref="ArgumentException">Its parent is not open for writing.</exception>
    public LiveMerge(DiskChain chain, int merged, LiveMergeOptions options)
    {
        _merged = chain.Layers[merged];
        _target = chain.Devices[merged + 1];
        if (_target.Capabilities.ReadOnly)
            throw new ArgumentException("the parent is open for reading only", nameof(chain));
        _options = options;
        _pace = new MergePace(_target, options);
    }

    /// <summary>Bytes of data that are in the parent by now, and all there are; zero until they are counted. From any thread.</summary>
    public (long Done, long Total) Progress => (Volatile.Read(ref _done), Volatile.Read(ref _total));

    /// <summary>Makes every check that can be made before anything is written. Changes nothing.</summary>
    /// <param name="chain">The chain, its layers below the leaf open for reading.</param>
    /// <param name="merged">The layer to merge, by its number in the chain; 0 for the leaf, which is open for writing (<see cref="LeafMerge"/>).</param>
    /// <param name="options">How the chain was opened.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">InvalidRequest: it is the base, its parent is larger, or another image in the folder would lose its
    /// parent; Unsupported: the parent cannot grow to its size; or a layer cannot be opened.</exception>
    public static async ValueTask CheckAsync(DiskChain chain, int merged, ChainOptions options, CancellationToken cancellationToken)
    {
        var plan = await ChainMergePlan.MakeLiveAsync(chain, merged, options, cancellationToken).ConfigureAwait(false);
        if (merged == 0 && plan.Target.Description.LogicalSectorSize != chain.Device.Capabilities.SectorSize)
        {
            throw new StorageException(
                StorageErrorKind.Unsupported,
                $"its sectors have {chain.Device.Capabilities.SectorSize} bytes and those of {plan.Target.Path} {plan.Target.Description.LogicalSectorSize}: "
                + "a guest that runs would find another disk; stop the VM first",
                plan.Merged[0].Path,
                operation: "merge");
        }

        var own = new HashSet<string> { plan.Merged[0].Path };
        if (plan.Above is { } above)
            own.Add(above.Path);
        await OtherChildren.RequireNoneAsync(
            new HashSet<string> { plan.Merged[0].Path, plan.Target.Path }, own, options.Paths, "merge", cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Copies everything and flushes the parent.</summary>
    /// <param name="cancellationToken">Stops; the chain reads as before, and another run may go on where the last flush was.</param>
    /// <exception cref="StorageException">A file failed or its file system is full; Closed: this computer does not own the disk any more.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var source = await OpenMergedAsync(cancellationToken).ConfigureAwait(false);
        await using (source.ConfigureAwait(false))
        {
            if (_target.Length < source.Length)
                await _pace.WithFenceAsync(() => _target.ResizeAsync(source.Length, cancellationToken), cancellationToken).ConfigureAwait(false);
            await new LayerCopy(source, _target, layers: 1, Note) { From = _options.From, Guard = _pace }.RunAsync(cancellationToken).ConfigureAwait(false);
            await _pace.WithFenceAsync(() => _target.FlushAsync(cancellationToken), cancellationToken).ConfigureAwait(false);
        }
    }

    private void Note(OperationProgress progress)
    {
        Volatile.Write(ref _done, progress.BytesDone);
        Volatile.Write(ref _total, progress.BytesTotal);
    }

    /// <summary>The layer once more, over its parent as it is in the chain.</summary>
    private async ValueTask<BlockDevice> OpenMergedAsync(CancellationToken cancellationToken)
    {
        var file = LocalFile.Open(_merged.Path, readOnly: true);
        try
        {
            return await LayerFormats.OpenAsync(
                file, _merged.Description.Format, new BorrowedDisk(_target), keepsLinkage: true, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await file.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
