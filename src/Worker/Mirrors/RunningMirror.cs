using Godwit.Storage;
using Godwit.Storage.Mirror;
using Godwit.Worker.Logging;

namespace Godwit.Worker.Mirrors;

/// <summary>A mirror while this process works on it: the device in front of both sides, and the thread that copies.</summary>
internal sealed class RunningMirror : IDisposable
{
    private readonly BackgroundCopy _copy;
    private readonly BandwidthLimit _limit;
    private readonly DirtyBitmap _bitmap;
    private readonly CancellationTokenSource _stop = new();
    private Task _copying = Task.CompletedTask;

    /// <summary>Puts the parts together; nothing runs yet.</summary>
    /// <param name="source">Serves the guest; stays the caller's.</param>
    /// <param name="target">The new file; stays the caller's.</param>
    /// <param name="bitmap">What differs; owned from now on.</param>
    /// <param name="bytesPerSecond">Upper limit of the copy's rate, or null for none.</param>
    /// <param name="time">The clock.</param>
    internal RunningMirror(BlockDevice source, BlockDevice target, DirtyBitmap bitmap, long? bytesPerSecond, TimeProvider time)
    {
        Source = source;
        Target = target;
        _bitmap = bitmap;
        Device = new MirrorDisk(source, target, bitmap);
        _limit = new BandwidthLimit(bytesPerSecond, time);
        _copy = new BackgroundCopy(Device, _limit, time);
    }

    /// <summary>The side that serves the guest.</summary>
    internal BlockDevice Source { get; }

    /// <summary>The side that is to take over.</summary>
    internal BlockDevice Target { get; }

    /// <summary>The device that keeps both sides alike.</summary>
    internal MirrorDisk Device { get; }

    /// <summary>Counters and state now.</summary>
    internal MirrorProgress Progress => new(
        Device.State.ToApi(), _copy.BytesCopied, _bitmap.DirtyBytes, _copy.BytesVerified, _copy.BytesToVerify);

    /// <summary>Starts copying on a thread of its own: reads and writes of files block it for most of its life.</summary>
    internal void Start(EventLog log, string name) =>
        _copying = Task.Factory.StartNew(
            () => CopyAsync(log, name), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();

    /// <summary>Changes the copy's rate limit.</summary>
    internal void Limit(long? bytesPerSecond) => _limit.BytesPerSecond = bytesPerSecond;

    /// <summary>Ends the copy; returns once it does not touch either side any more.</summary>
    internal async Task StopAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _copying.ConfigureAwait(false);
    }

    /// <summary>Lets go of the bitmap; the copy has been stopped and the device is not served any more. Both sides stay open.</summary>
    public void Dispose()
    {
        _bitmap.Dispose();
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
