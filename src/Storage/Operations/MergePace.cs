using Godwit.Storage.Mirror;

namespace Godwit.Storage.Operations;

/// <summary>The leash of a merge beneath a guest: the fence before every part, the rate limit, guests first, and a flush of the target now and then.</summary>
/// <param name="target">The layer that is written to.</param>
/// <param name="options">How.</param>
internal sealed class MergePace(BlockDevice target, LiveMergeOptions options) : ILayerCopyGuard
{
    private const long FlushBytes = 256L << 20;
    private static readonly TimeSpan FlushInterval = TimeSpan.FromSeconds(5);

    private readonly CopyPacer _pacer = new(options.Guests, options.Time);
    private long _begun;
    private long _unflushed;
    private long _flushedAt = options.Time.GetTimestamp();

    /// <inheritdoc/>
    public ValueTask EnterAsync(CancellationToken cancellationToken)
    {
        _begun = options.Time.GetTimestamp();
        return options.Fence.EnterAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public void Exit() => options.Fence.Exit();

    /// <inheritdoc/>
    public async ValueTask NoteAsync(long end, int bytes, CancellationToken cancellationToken)
    {
        _unflushed += bytes;
        if (_unflushed >= FlushBytes || options.Time.GetElapsedTime(_flushedAt) >= FlushInterval)
        {
            await WithFenceAsync(() => target.FlushAsync(cancellationToken), cancellationToken).ConfigureAwait(false);
            (_unflushed, _flushedAt) = (0, options.Time.GetTimestamp());
            options.OnStable?.Invoke(end);
        }

        await _pacer.RestAsync(_begun, cancellationToken).ConfigureAwait(false);
        await options.Limit.TakeAsync(bytes, cancellationToken).ConfigureAwait(false);
        await Task.Yield();
    }

    /// <summary>Does something that writes, counted in by the fence as a guest's request is.</summary>
    internal async ValueTask WithFenceAsync(Func<ValueTask> action, CancellationToken cancellationToken)
    {
        await options.Fence.EnterAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await action().ConfigureAwait(false);
        }
        finally
        {
            options.Fence.Exit();
        }
    }
}
