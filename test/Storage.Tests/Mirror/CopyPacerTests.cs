using Godwit.Storage.Metrics;
using Godwit.Storage.Mirror;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Mirror;

/// <summary>A guest that always has one request under way, at a device that is slower for it while the copy works.</summary>
public sealed class CopyPacerTests
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(5);
    private readonly FakeTimeProvider _time = new();
    private double _requests;
    private double _waited;

    [Theory]
    [InlineData(0.1, 10)]
    [InlineData(0.2, 2)]
    [InlineData(5, 50)]
    public async Task A_guest_that_the_copy_hurts_is_spared(double alone, double beside)
    {
        var (share, mean) = await RunAsync(alone, beside);
        Assert.InRange(share, 0.08, 0.7);

        // No more than twice as long on average, where it would have been ten times; or a tenth of the time is the copy's all the same.
        Assert.True(mean <= (alone * 2.2) + 0.1 || share < 0.16, $"the guest waited {mean} ms instead of {alone} ms, the copy worked {share:P0} of the time");
    }

    [Theory]
    [InlineData(0.1, 0.12)]
    [InlineData(5, 6)]
    public async Task One_that_it_does_not_hurt_costs_it_next_to_nothing(double alone, double beside) =>
        Assert.InRange((await RunAsync(alone, beside)).Share, 0.97, 1);

    [Fact]
    public async Task A_guest_that_asks_for_little_is_not_waited_for() => Assert.InRange((await RunAsync(500, 500)).Share, 0.999, 1);

    [Fact]
    public async Task When_the_guest_is_gone_the_copy_goes_at_full_speed_again()
    {
        var guest = true;
        var pacer = new CopyPacer(Load, _time);
        await CopyAsync(pacer, TimeSpan.FromSeconds(10), () => guest ? (0.1, 10) : (1e9, 1e9));
        Assert.True(pacer.Share < 1);
        guest = false;
        await CopyAsync(pacer, TimeSpan.FromMilliseconds(1500), () => (1e9, 1e9));
        Assert.Equal(1, pacer.Share);
    }

    private GuestLoad Load() => new((long)_requests, (long)(_waited * 1e6));

    private async Task<(double Share, double Mean)> RunAsync(double alone, double beside)
    {
        var pacer = new CopyPacer(Load, _time);
        var worked = await CopyAsync(pacer, TimeSpan.FromSeconds(60), () => (alone, beside));
        return (worked.TotalSeconds / 60, _waited / _requests);
    }

    /// <summary>Copies for a while by the clock.</summary>
    /// <returns>How much of it the copy worked.</returns>
    private Task<TimeSpan> CopyAsync(CopyPacer pacer, TimeSpan duration, Func<(double Alone, double Beside)> latency) => Task.Run(() =>
    {
        var worked = TimeSpan.Zero;
        for (var end = _time.GetUtcNow() + duration; _time.GetUtcNow() < end; worked += Step)
        {
            var begun = _time.GetTimestamp();
            Pass(Step, latency().Beside);
            var resting = pacer.RestAsync(begun, CancellationToken.None);
            while (!resting.IsCompleted)
                Pass(TimeSpan.FromMilliseconds(1), latency().Alone);
        }

        return worked;
    });

    private void Pass(TimeSpan time, double latency)
    {
        _requests += time.TotalMilliseconds / latency;
        _waited += time.TotalMilliseconds;
        _time.Advance(time);
    }
}
