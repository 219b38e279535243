namespace Godwit.Storage.Operations;

/// <summary>Flushes the target now and then while copying goes on, and tells up to where the copy is stable.</summary>
/// <remarks>A flush covers every write that had completed when it began: the offset of that moment is told when it has ended. It also
/// keeps what waits in the page cache bounded, so that the last flush, and giving up, take bounded time.</remarks>
internal sealed class StableCopy(BlockDevice target, CopyOptions options)
{
    private Task? _flushing;
    private long _bytes;
    private long _since = options.Time.GetTimestamp();

    private bool IsDue => _bytes >= options.StableBytes || (_bytes > 0 && options.Time.GetElapsedTime(_since) >= options.StableTime);

    /// <summary>Takes note that everything before an offset has been written.</summary>
    public async ValueTask NoteAsync(long offset, long bytes, CancellationToken cancellationToken)
    {
        _bytes += bytes;
        if (options.OnStable is null)
            return;
        if (_flushing is { IsCompleted: false } && _bytes < 2 * options.StableBytes)
            return;
        if (_flushing is not null)
            await _flushing.ConfigureAwait(false);
        _flushing = null;
        if (!IsDue)
            return;
        (_bytes, _since) = (0, options.Time.GetTimestamp());
        _flushing = FlushAsync(offset, cancellationToken);
    }

    /// <summary>Waits for the flush on its way; what it failed with matters no more, since the last flush of all fails too.</summary>
    public async ValueTask EndAsync()
    {
        if (_flushing is not null)
            await _flushing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task FlushAsync(long offset, CancellationToken cancellationToken)
    {
        await target.FlushAsync(cancellationToken).ConfigureAwait(false);
        options.OnStable!(offset);
    }
}
