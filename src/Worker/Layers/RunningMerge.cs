using Godwit.Api;
using Godwit.Storage.Limits;
using Godwit.Storage.Operations;
using Godwit.Worker.Control;

namespace Godwit.Worker.Layers;

/// <summary>The copying of a merge while this process works on it.</summary>
internal sealed class RunningMerge : IAsyncDisposable
{
    private readonly ILayerMerge _merge;
    private readonly RateLimit _limit;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _copying;

    /// <summary>Starts it, on the thread pool.</summary>
    /// <param name="make">Makes it; what it copies stays the caller's, who stops this before closing it.</param>
    /// <param name="options">How.</param>
    internal RunningMerge(Func<LiveMergeOptions, ILayerMerge> make, LiveMergeOptions options)
    {
        _limit = options.Limit;
        _merge = make(options);
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
