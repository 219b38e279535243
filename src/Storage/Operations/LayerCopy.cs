namespace Godwit.Storage.Operations;

/// <summary>Whom a copy of a layer asks before it touches the disks, and tells what it has done.</summary>
internal interface ILayerCopyGuard
{
    /// <summary>Waits until the next part may be copied. <see cref="Exit"/> follows.</summary>
    ValueTask EnterAsync(CancellationToken cancellationToken);

    /// <summary>The part that was entered for has ended, well or not.</summary>
    void Exit();

    /// <summary>Everything before an offset has been copied.</summary>
    /// <param name="end">The offset.</param>
    /// <param name="bytes">Bytes copied since the last call.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    ValueTask NoteAsync(long end, int bytes, CancellationToken cancellationToken);
}

/// <summary>Writes what the upper layers of a chain decide into a layer below them.</summary>
/// <param name="chain">The upper layers on top of the target.</param>
/// <param name="target">The layer below.</param>
/// <param name="layers">How many layers are above the target: what they decide is copied, the rest is there already.</param>
/// <param name="progress">Told now and then.</param>
internal sealed class LayerCopy(BlockDevice chain, BlockDevice target, int layers, Action<OperationProgress> progress)
{
    private const int ChunkBytes = 2 << 20;

    // Zeroes cost little however many they are, but whoever waits for a part to end should not wait long.
    private const long ZeroBytes = 1L << 30;

    private readonly byte[] _chunk = GC.AllocateUninitializedArray<byte>(ChunkBytes, pinned: true);
    private long _total;
    private long _done;

    /// <summary>Everything before it has been copied already.</summary>
    public long From { get; init; }

    /// <summary>Asked before each part; null when nobody else uses the disks.</summary>
    public ILayerCopyGuard? Guard { get; init; }

    /// <summary>Copies everything; the caller flushes.</summary>
    public async ValueTask RunAsync(CancellationToken cancellationToken)
    {
        await ForEachRunAsync(0, CountAsync, cancellationToken).ConfigureAwait(false);
        progress(new OperationProgress("Merging", _done, _total));
        await ForEachRunAsync(From, run => CopyAsync(run, cancellationToken), cancellationToken).ConfigureAwait(false);
    }

    private ValueTask CountAsync(Extent run)
    {
        if (run.Kind == ExtentKind.Data)
        {
            _total += run.Length;
            _done += Math.Clamp(From - run.Offset, 0, run.Length);
        }

        return ValueTask.CompletedTask;
    }

    private async ValueTask ForEachRunAsync(long from, Func<Extent, ValueTask> visit, CancellationToken cancellationToken)
    {
        for (var at = from; at < chain.Length;)
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
        var zeroes = run.ReadsAsZeroes && start == run.Offset && end == run.End;
        for (var at = start; at < end;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var unit = zeroes ? ZeroBytes : ChunkBytes;
            var length = Math.Min(unit - (at % unit), end - at);
            if (Guard is not null)
                await Guard.EnterAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                await CopyAsync(at, length, zeroes, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                Guard?.Exit();
            }

            at += length;
            await NoteAsync(at, zeroes ? 0 : (int)length, cancellationToken).ConfigureAwait(false);
        }
    }

    private async ValueTask CopyAsync(long at, long length, bool zeroes, CancellationToken cancellationToken)
    {
        if (zeroes)
        {
            await target.WriteZeroesAsync(at, length, WriteFlags.None, cancellationToken).ConfigureAwait(false);
            return;
        }

        var part = _chunk.AsMemory(0, (int)length);
        await chain.ReadAsync(at, part, cancellationToken).ConfigureAwait(false);
        await target.WriteAsync(at, part, WriteFlags.None, cancellationToken).ConfigureAwait(false);
    }

    private ValueTask NoteAsync(long end, int bytes, CancellationToken cancellationToken)
    {
        _done = Math.Min(_done + bytes, _total);
        progress(new OperationProgress("Merging", _done, _total));
        return Guard?.NoteAsync(end, bytes, cancellationToken) ?? ValueTask.CompletedTask;
    }
}
