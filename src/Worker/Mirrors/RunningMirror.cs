using Godwit.Api;
using Godwit.Storage;
using Godwit.Storage.Bitmaps;
using Godwit.Storage.Decorators;
using Godwit.Storage.Limits;
using Godwit.Storage.Metrics;
using Godwit.Storage.Mirror;
using Godwit.Worker.Control;
using Godwit.Worker.Logging;

namespace Godwit.Worker.Mirrors;

/// <summary>A mirror while this process works on it: the device in front of both sides, and the copy.</summary>
internal sealed class RunningMirror : IAsyncDisposable
{
    private readonly BackgroundCopy _copy;
    private readonly RateLimit _limit;
    private readonly DirtyBitmap _bitmap;
    private readonly UnflushedRanges? _unflushed;
    private readonly CancellationTokenSource _stop = new();
    private Task _copying = Task.CompletedTask;

    /// <summary>Puts the parts together; nothing runs yet.</summary>
    /// <param name="source">Serves the guest; stays the caller's.</param>
    /// <param name="target">The new file; stays the caller's.</param>
    /// <param name="bitmap">What differs; owned from now on.</param>
    /// <param name="bytesPerSecond">Upper limit of the copy's rate, or null for none.</param>
    /// <param name="guests">What guests have asked for so far.</param>
    /// <param name="time">The clock.</param>
    /// <param name="fence">What the copy passes, as the guests' requests do.</param>
    /// <param name="options">Limits; the defaults when null.</param>
    /// <param name="unflushed">What a target on another host may forget; owned from now on.</param>
    internal RunningMirror(
        BlockDevice source, BlockDevice target, DirtyBitmap bitmap, long? bytesPerSecond, Func<GuestLoad> guests, TimeProvider time, Fence fence,
        MirrorOptions? options = null, UnflushedRanges? unflushed = null)
    {
        Source = source;
        Target = target;
        _bitmap = bitmap;
        _unflushed = unflushed;
        Device = new MirrorDisk(source, target, bitmap, time, options, unflushed, fence);
        _limit = new RateLimit(bytesPerSecond, time);
        _copy = new BackgroundCopy(Device, _limit, time, guests);
    }

    /// <summary>The side that serves the guest.</summary>
    internal BlockDevice Source { get; }

    /// <summary>The side that is to take over.</summary>
    internal BlockDevice Target { get; }

    /// <summary>The device that keeps both sides alike.</summary>
    internal MirrorDisk Device { get; }

    /// <summary>Counters and state now.</summary>
    internal MirrorProgress Progress
    {
        get
        {
            var copy = _copy.Progress;
            return new MirrorProgress(Device.State.ToApi(), copy.Copied, copy.Left, copy.Verified, copy.ToVerify);
        }
    }

    /// <summary>Why the mirror has failed, or what it is waiting out.</summary>
    internal Problem? Problem => Device.Problem is { } error ? Problems.Of(error) : null;

    /// <summary>Starts copying, on the thread pool.</summary>
    internal void Start(EventLog log, string name) => _copying = CopyAsync(log, name);

    /// <summary>Changes the copy's rate limit.</summary>
    internal void Limit(long? bytesPerSecond) => _limit.PerSecond = bytesPerSecond;

    /// <summary>Ends the copy; returns once it does not touch either side any more.</summary>
    internal async Task StopAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _copying.ConfigureAwait(false);
    }

    /// <summary>Lets go of the bitmap; the copy has been stopped and the device is not served any more. Both sides stay open.</summary>
    public async ValueTask DisposeAsync()
    {
        await Device.DisposeAsync().ConfigureAwait(false);
        _bitmap.Dispose();
        _unflushed?.Dispose();
        _stop.Dispose();
    }

    private async Task CopyAsync(EventLog log, string name)
    {
        try
        {
            await _copy.RunAsync(_stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Asked for.
        }
        catch (StorageException e)
        {
            // The mirror has failed by now and says why; the next check takes it away.
            log.Warn($"{name}: the background copy ended: {e.Message}");
        }
    }
}
