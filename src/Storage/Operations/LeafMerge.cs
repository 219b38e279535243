namespace Godwit.Storage.Operations;

/// <summary>Copies what the leaf of a chain holds into its parent, in one pass, while the chain is written to.</summary>
/// <remarks>When it has ended the parent, read without the leaf, reads like the chain, and stays so with every change that
/// <see cref="LeafMergeDisk"/> passes on. Who began it before the death of a process begins again: a change that was under way may be in the leaf only.</remarks>
public sealed class LeafMerge : ILayerMerge
{
    private const long DataUnit = 2L << 20;

    // Zeroes cost little however many they are, but a guest that waits for a part to end should not wait long.
    private const long ZeroUnit = 64L << 20;

    private readonly LeafMergeDisk _disk;
    private readonly MergePace _pace;
    private long _done;
    private long _total;

    /// <summary>Prepares the copy.</summary>
    /// <param name="disk">Serves the chain meanwhile; stays the caller's.</param>
    /// <param name="options">How. It always begins at the beginning.</param>
    public LeafMerge(LeafMergeDisk disk, LiveMergeOptions options)
    {
        _disk = disk;
        _pace = new MergePace(disk.Target, options);
    }

    /// <summary>How far the line is ahead of the copy at most, in bytes: changes behind it cost two writes.</summary>
    internal long Window { get; init; } = 1L << 30;

    /// <inheritdoc/>
    public (long Done, long Total) Progress => (Volatile.Read(ref _done), Volatile.Read(ref _total));

    /// <inheritdoc/>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        if (_disk.Target.Length < _disk.Length)
            await _pace.WithFenceAsync(() => _disk.Target.ResizeAsync(_disk.Length, cancellationToken), cancellationToken).ConfigureAwait(false);
        await ForEachRunAsync(0, _disk.Length, CountAsync, cancellationToken).ConfigureAwait(false);
        for (long start = 0; start < _disk.Length; start += Window)
        {
            var end = Math.Min(start + Window, _disk.Length);
            await _disk.MoveLineAsync(end, cancellationToken).ConfigureAwait(false);
            await ForEachRunAsync(start, end, run => CopyAsync(run, cancellationToken), cancellationToken).ConfigureAwait(false);
        }

        await _pace.WithFenceAsync(_disk.FlushParentAsync, cancellationToken).ConfigureAwait(false);

        // What it held when they were counted and does not any more needs no copy.
        Volatile.Write(ref _done, _total);
    }

    /// <summary>Visits what the leaf decides. What changes meanwhile, behind the line, is passed on by whoever changes it.</summary>
    private async ValueTask ForEachRunAsync(long start, long end, Func<Extent, ValueTask> visit, CancellationToken cancellationToken)
    {
        for (var at = start; at < end;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var run = await _disk.GetExtentAsync(at, end - at, cancellationToken).ConfigureAwait(false);
            if (run.Layer == 0)
                await visit(run).ConfigureAwait(false);
            at = run.End;
        }
    }

    private ValueTask CountAsync(Extent run)
    {
        if (run.Kind == ExtentKind.Data)
            Volatile.Write(ref _total, _total + run.Length);
        return ValueTask.CompletedTask;
    }

    private async ValueTask CopyAsync(Extent run, CancellationToken cancellationToken)
    {
        var unit = run.ReadsAsZeroes ? ZeroUnit : DataUnit;
        var (start, end) = _disk.Whole(run.Offset, run.End);
        for (var at = start; at < end;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            _disk.ThrowIfFailed();
            var length = Math.Min(unit - (at % unit), end - at);
            await _pace.EnterAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                await _disk.CopyAsync(at, length, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                _pace.Exit();
            }

            at += length;
            var bytes = run.ReadsAsZeroes ? 0 : length;
            Volatile.Write(ref _done, Math.Min(_done + bytes, _total));
            await _pace.NoteAsync(at, (int)bytes, cancellationToken).ConfigureAwait(false);
        }
    }
}
