using Godwit.Storage.Limits;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Limits;

public sealed class RateLimitTests
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly FakeTimeProvider _time = new();

    [Theory]
    [InlineData(64 << 10)]
    [InlineData(10_000_000)]
    [InlineData(3L << 30)]
    public void Any_five_seconds_stay_within_five_percent_of_the_rate(long rate)
    {
        var limit = new RateLimit(rate, _time);
        var seconds = new List<double>();
        var start = _time.GetUtcNow();
        while (_time.GetUtcNow() - start < TimeSpan.FromSeconds(25))
        {
            var bytes = limit.ChunkLength(1 << 20);
            Take(limit, bytes);
            var second = (int)(_time.GetUtcNow() - start).TotalSeconds;
            while (seconds.Count <= second)
                seconds.Add(0);
            seconds[second] += bytes;
        }

        for (var from = 0; from + 5 < seconds.Count; from++)
            Assert.InRange(seconds.Skip(from).Take(5).Sum() / 5, rate * 0.95, rate * 1.05);
    }

    [Fact]
    public void A_new_rate_holds_at_once_also_for_who_is_waiting()
    {
        var limit = new RateLimit(1000, _time);
        var waiting = limit.TakeAsync(1_000_000, None).AsTask();
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.False(waiting.IsCompleted);
        limit.PerSecond = null;
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(waiting.IsCompletedSuccessfully);
        Assert.True(limit.TakeAsync(1L << 40, None).IsCompletedSuccessfully);
    }

    [Fact]
    public void Idle_time_is_not_saved_up()
    {
        var limit = new RateLimit(1000, _time);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.True(limit.TakeAsync(100, None).IsCompletedSuccessfully);
        Assert.False(limit.TakeAsync(100, None).IsCompleted);
    }

    [Fact]
    public void A_rate_of_zero_is_refused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new RateLimit(0, _time));

    private void Take(RateLimit limit, long bytes)
    {
        var taken = limit.TakeAsync(bytes, None);
        var task = taken.IsCompleted ? Task.CompletedTask : taken.AsTask();
        while (!task.IsCompleted)
            _time.Advance(TimeSpan.FromMilliseconds(1));
    }
}
