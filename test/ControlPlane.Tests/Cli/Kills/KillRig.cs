using System.Diagnostics;
using System.Globalization;
using Godwit.Testing;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli.Kills;

/// <summary>Strikes a command at random moments, looks at what it leaves, and lets the same command finish.</summary>
/// <remarks>A moment is a time of a whole run's length, or a change of the folder's files counted from the start: the changes are where
/// something can go wrong, and they are hit on a slow machine as well.</remarks>
internal sealed class KillRig : IDisposable
{
    // A program may be through before it is struck, on a machine that has other things to do above all.
    private const int MissesPerHit = 10;
    private readonly TempFolder _folder = new();
    private readonly KillCase _case;
    private readonly Random _random;
    private TimeSpan _duration;
    private int _changes;

    public KillRig(KillCase test)
    {
        var seed = Environment.TickCount;
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        _case = test;
        _random = new Random(seed);
    }

    /// <summary>Strikes that met the program at work, and of those the ones that met it when it had changed files already.</summary>
    public (int AtWork, int Midway) Hits { get; private set; }

    private string Before => _folder.File("before");

    private string Now => _folder.File("now");

    public void Dispose() => _folder.Dispose();

    /// <summary>Makes the files and lets the command run whole once: what is asked of it later must be so without a strike as well.</summary>
    public async Task StartAsync()
    {
        Directory.CreateDirectory(Before);
        await _case.PrepareAsync(Before);
        Renew();
        using var watch = new FolderWatch(Now, int.MaxValue);
        var start = Stopwatch.GetTimestamp();
        await FinishAsync(wasStruck: false);
        _duration = Stopwatch.GetElapsedTime(start);
        _changes = Math.Max(1, watch.Seen);
        await _case.RequireSafeAsync(Before, Now);
        await _case.RequireDoneAsync(Before, Now);
    }

    /// <summary>Kills it at work so many times, at least once midway; up to three times in a row before it may finish.</summary>
    public async Task KillAsync(int hits)
    {
        for (var strikes = 0; (Hits.AtWork < hits || Hits.Midway == 0) && strikes < MissesPerHit * hits;)
        {
            Renew();
            for (var inRow = _random.Next(1, 4); inRow > 0; inRow--)
            {
                strikes++;
                if (!await StrikeAsync(_changes, byTime: _random.Next(2) == 0, static program => program.KillAsync()))
                    break;
                await _case.RequireSafeAsync(Before, Now);
            }

            await FinishAsync(wasStruck: true);
            await _case.RequireSafeAsync(Before, Now);
            await _case.RequireDoneAsync(Before, Now);
        }

        TestContext.Current.TestOutputHelper?.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{string.Join(' ', _case.Words)}: {_duration.TotalMilliseconds:F0} ms, {_changes} changes seen; {Hits.AtWork} kills at work, {Hits.Midway} midway"));
    }

    /// <summary>Interrupts it until it was met at work so many times; what it says and how it ends must be as documented.</summary>
    public async Task InterruptAsync(int hits, string advice)
    {
        for (var strikes = 0; Hits.AtWork < hits && strikes < MissesPerHit * hits; strikes++)
        {
            Renew();
            CliResult? end = null;
            if (await StrikeAsync(_changes / 2, byTime: false, async program => (end = await program.InterruptAsync()).Code == 2))
            {
                Assert.Contains($"cancelled; {advice}", end!.Error, StringComparison.Ordinal);
                await _case.RequireSafeAsync(Before, Now);
                await _case.RequireCancelledAsync(Before, Now);
            }
            else
            {
                // It may have been through when the signal came, or past the point up to which it gives up.
                Assert.True(end!.Code == 0, $"{end}");
            }

            await FinishAsync(wasStruck: true);
            await _case.RequireDoneAsync(Before, Now);
        }
    }

    private async Task<bool> StrikeAsync(int lastChange, bool byTime, Func<RunningProgram, Task<bool>> strike)
    {
        using var watch = new FolderWatch(Now, _random.Next(1, lastChange + 1));
        using var program = RunningProgram.Start(Now, ["disk", .. _case.Words]);
        var moment = byTime ? Task.Delay(_random.NextDouble() * _duration, TestContext.Current.CancellationToken) : watch.Reached;
        await Task.WhenAny(program.Ended, moment);
        var hit = await strike(program);
        if (hit)
            Hits = (Hits.AtWork + 1, Hits.Midway + (watch.Seen > 0 ? 1 : 0));
        return hit;
    }

    private async Task FinishAsync(bool wasStruck)
    {
        using var program = RunningProgram.Start(Now, ["disk", .. _case.Words]);
        var end = await program.EndAsync();
        Assert.True(end.Code == 0 || (wasStruck && _case.FindsItDone(end)), $"{end}");
    }

    /// <summary>The files as they were at first, with their times: a VHD knows its parent by that.</summary>
    private void Renew()
    {
        if (Directory.Exists(Now))
            Directory.Delete(Now, recursive: true);
        Directory.CreateDirectory(Now);
        foreach (var file in Directory.GetFiles(Before))
            File.Copy(file, Path.Combine(Now, Path.GetFileName(file)));
    }
}
