namespace Godwit.Storage.Operations;

/// <summary>Writes what the upper layers of a chain decide into a layer below them.</summary>
/// <param name="chain">The upper layers on top of the target.</param>
/// <param name="target">The layer below.</param>
/// <param name="layers">How many layers are above the target: what they decide is copied, the rest is there already.</param>
/// <param name="progress">Told now and then.</param>
internal sealed class LayerCopy(BlockDevice chain, BlockDevice target, int layers, Action<OperationProgress> progress)
{
    private const int ChunkBytes = 2 << 20;

    private readonly byte[] _chunk = GC.AllocateUninitializedArray<byte>(ChunkBytes, pinned: true);
    private long _total;
    private long _done;

    /// <summary>Copies everything; the caller flushes.</summary>
    public async ValueTask RunAsync(CancellationToken cancellationToken)
    {
        await ForEachRunAsync(
            run =>
            {
                _total += run.Kind == ExtentKind.Data ? run.Length : 0;
                return ValueTask.CompletedTask;
            },
            cancellationToken).ConfigureAwait(false);
        progress(new OperationProgress("Merging", 0, _total));
        await ForEachRunAsync(run => CopyAsync(run, cancellationToken), cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask ForEachRunAsync(Func<Extent, ValueTask> visit, CancellationToken cancellationToken)
    {
        for (long at = 0; at < chain.Length;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var run = await chain.GetExtentAsync(at, chain.Length - at, cancellationToken).ConfigureAwait(false);
            if (run.Layer < layers)
                await visit(run).ConfigureAwait(false);
            at = run.End;
        }
    }

    private async ValueTask CopyAsync(Extent run, CancellationToken cancellationToken)
    {
        // The target's sectors may be larger than the upper layers': whole ones, read through the chain, are right as well.
        var sector = (long)target.Capabilities.SectorSize;
        var start = run.Offset & -sector;
        var end = (run.End + sector - 1) & -sector;
        if (run.ReadsAsZeroes && start == run.Offset && end == run.End)
        {
            await target.WriteZeroesAsync(start, end - start, WriteFlags.None, cancellationToken).ConfigureAwait(false);
            return;
        }

        for (var at = start; at < end;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var part = _chunk.AsMemory(0, (int)Math.Min(ChunkBytes - (at % ChunkBytes), end - at));
            await chain.ReadAsync(at, part, cancellationToken).ConfigureAwait(false);
            await target.WriteAsync(at, part, WriteFlags.None, cancellationToken).ConfigureAwait(false);
            at += part.Length;
            _done = Math.Min(_done + part.Length, _total);
            progress(new OperationProgress("Merging", _done, _total));
        }
    }
}
