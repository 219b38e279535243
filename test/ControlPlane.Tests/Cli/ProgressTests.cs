using Godwit.Cli.Progress;
using Godwit.Cli.Text;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

public sealed class ProgressTests
{
    private readonly StillClock _clock = new();
    private readonly StringWriter _writer = new() { NewLine = "\n" };

    [Fact]
    public void Plain_progress_writes_a_line_per_phase_and_one_in_two_seconds()
    {
        var view = new PlainProgress(_writer, _clock);
        view.Show(new("Prepare"));
        view.Show(Copy(0));
        for (var i = 1; i <= 50; i++)
        {
            _clock.Advance(0.1);
            view.Show(Copy(i));
        }

        view.Show(new("InSync"));
        Assert.Equal(
            """
            Prepare
            Copy: 0.0 %, 0 B of 8 GiB, 210 MiB/s, 0:19 left
            Copy: 20.0 %, 1.6 GiB of 8 GiB, 210 MiB/s, 0:19 left
            Copy: 40.0 %, 3.2 GiB of 8 GiB, 210 MiB/s, 0:19 left
            InSync

            """,
            _writer.ToString());
    }

    [Fact]
    public void Plain_progress_does_not_repeat_itself()
    {
        var view = new PlainProgress(_writer, _clock);
        for (var i = 0; i < 5; i++)
        {
            view.Show(Copy(10));
            _clock.Advance(3);
        }

        Assert.Single(_writer.ToString().TrimEnd().Split('\n'));
    }

    [Fact]
    public void Terminal_progress_draws_one_line_over_again()
    {
        var view = new TerminalProgress(_writer, _clock, 100, new Paint(false));
        view.Show(Copy(50));
        view.Show(Copy(51));
        _clock.Advance(0.1);
        view.Show(Copy(52));
        view.Clear();
        Assert.Equal(
            "\r\e[KCopy       [############............]  50.0 %  4 GiB of 8 GiB  210 MiB/s  0:19 left"
            + "\r\e[KCopy       [############............]  52.0 %  4.2 GiB of 8 GiB  210 MiB/s  0:19 left\r\e[K",
            _writer.ToString());
    }

    [Theory]
    [InlineData(20)]
    [InlineData(40)]
    [InlineData(60)]
    public void Terminal_progress_never_wraps(int width)
    {
        new TerminalProgress(_writer, _clock, width, new Paint(false)).Show(Copy(50));
        Assert.InRange(_writer.ToString().Length - "\r\e[K".Length, 1, width - 1);
    }

    [Fact]
    public void A_hundred_percent_is_only_said_at_the_end()
    {
        Assert.Equal("99.9 %", new ProgressState("Copy", 99.99).PercentText);
        Assert.Equal("100.0 %", new ProgressState("Copy", 100).PercentText);
    }

    [Fact]
    public void The_rate_is_that_of_the_last_seconds()
    {
        var meter = new RateMeter(_clock);
        Assert.Equal(0, meter.BytesPerSecond);
        Assert.Null(meter.SecondsFor(1));
        long bytes = 0;
        for (var i = 0; i < 200; i++)
        {
            meter.Note(bytes);
            _clock.Advance(0.1);
            bytes += i < 100 ? 1000 : 100;
        }

        Assert.InRange(meter.BytesPerSecond, 900, 1100);
        Assert.InRange(meter.SecondsFor(10_000) ?? 0, 9, 12);
    }

    private static ProgressState Copy(double percent) => new("Copy", percent, (long)(percent / 100 * (8L << 30)), 8L << 30, 210L << 20, 18.2);
}
