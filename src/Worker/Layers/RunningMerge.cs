using Godwit.Api;
using Godwit.Storage.Chains;
using Godwit.Storage.Decorators;
using Godwit.Storage.Limits;
using Godwit.Storage.Metrics;
using Godwit.Storage.Operations;
using Godwit.Worker.Control;

namespace Godwit.Worker.Layers;

/// <summary>The copying of a merge while this process works on it.</summary>
internal sealed class RunningMerge : IAsyncDisposable
{
    private readonly LiveMerge _merge;
    private readonly RateLimit _limit;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _copying;

    /// <summary>Starts it, on the thread pool.</summary>
    /// <param name="chain">The chain; stays the caller's, who stops this before closing it.</param>
    /// <param name="merged">The layer, by its number in the chain.</param>
    /// <param name="from">Everything before it is copied already.</param>
    /// <param name="bytesPerSecond">Upper limit of the rate, or null for none.</param>
    /// <param name="guests">What guests have asked for so far.</param>
    /// <param name="fence">What it passes, as the guests' requests do.</param>
    /// <param name="time">The clock.</param>
    /// <param name="onStable">Told how far it survives a power cut.</param>
    internal RunningMerge(
        DiskChain chain, int merged, long from, long? bytesPerSecond, Func<GuestLoad> guests, Fence fence, TimeProvider time, Action<long> onStable)
    {
        _limit = new RateLimit(bytesPerSecond, time);
        _merge = new LiveMerge(chain, merged, new LiveMergeOptions
        {
            From = from,
            Limit = _limit,
            Time = time,
            Guests = guests,
            Fence = fence,
            OnStable = onStable,
        });
        _copying = _merge.RunAsync(_stop.Token);
    }

    /// <summary>Bytes done and all there are.</summary>
    internal (long Done, long Total) Progress => _merge.Progress;

    /// <summary>It has ended, well or not.</summary>
    internal bool HasEnded => _copying.IsCompleted;

    /// <summary>Why it has ended; null when all is copied.</summary>
    internal Problem? Failure => _copying.Exception?.InnerException is { } error
        ? Problems.TryOf(error) ?? new Problem(ErrorCode.Internal, $"{error.GetType().Name}: {error.Message}", "see worker.log")
        : null;

    /// <summary>Changes the rate limit.</summary>
    internal void Limit(long? bytesPerSecond) => _limit.PerSecond = bytesPerSecond;

    /// <summary>Ends it; returns once it does not touch the chain any more.</summary>
    internal async Task StopAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _copying.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>It has ended.</summary>
    public ValueTask DisposeAsync()
    {
        _stop.Dispose();
        return ValueTask.CompletedTask;
    }
}
