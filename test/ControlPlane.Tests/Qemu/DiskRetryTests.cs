using Godwit.Qemu.Processes;
using Xunit;

namespace Godwit.ControlPlane.Tests.Qemu;

public sealed class DiskRetryTests
{
    [Fact]
    public void Tries_come_soon_at_first_then_less_often_and_soon_again_after_a_calm_time()
    {
        var clock = new SteppedClock();
        var retry = new DiskRetry(clock);
        var pauses = new List<double>();
        for (var i = 0; i < 8; i++)
        {
            var pause = retry.NextPause();
            pauses.Add(pause.TotalMilliseconds);
            clock.Step(pause);
            retry.Tried();
        }

        Assert.Equal([100, 200, 500, 1000, 2000, 5000, 5000, 5000], pauses);
        clock.Step(TimeSpan.FromSeconds(14));
        Assert.Equal(5000, retry.NextPause().TotalMilliseconds);
        clock.Step(TimeSpan.FromSeconds(2));
        Assert.Equal(100, retry.NextPause().TotalMilliseconds);
    }

    private sealed class SteppedClock : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Step(TimeSpan by) => _ticks += by.Ticks;
    }
}
