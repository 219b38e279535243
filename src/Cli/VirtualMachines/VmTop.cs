using System.CommandLine;
using Godwit.Api.VirtualMachines;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm top</summary>
internal sealed class VmTop
{
    private readonly Option<double> _interval = new("--interval")
    {
        Description = "Seconds between two looks",
        HelpName = "SECONDS",
        DefaultValueFactory = _ => 2,
    };

    private readonly Option<int?> _count = new("--count") { Description = "Ends after so many tables", HelpName = "N" };

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var top = new VmTop();
        var verb = new Verb("top", "Shows what the disks of running VMs are doing, until ^C", "godwit vm top --interval 1") { top._interval, top._count };
        verb.AddJson("Write the counters since the workers started as JSON, once");
        verb.Does(shell, global, top.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var interval = session.Get(_interval);
        if (interval is < 0.1 or > 3600 or double.NaN)
            throw new UsageException("--interval is between 0.1 and 3600 seconds");
        if (session.Get(_count) is <= 0)
            throw new UsageException("--count is at least 1");
        var before = await session.Client.ListStatisticsAsync(cancellationToken);
        if (session.TryWriteJson(before, JsonText.Api.IReadOnlyListVirtualMachineStatistics))
            return ExitCode.Ok;
        try
        {
            await WatchAsync(session, before, interval, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // ^C is how it ends.
        }

        return ExitCode.Ok;
    }

    private async Task WatchAsync(
        Session session, IReadOnlyList<VirtualMachineStatistics> before, double interval, CancellationToken cancellationToken)
    {
        var since = session.Shell.Time.GetTimestamp();
        for (var shown = 0; session.Get(_count) is not int count || shown < count; shown++)
        {
            await Task.Delay(TimeSpan.FromSeconds(interval), session.Shell.Time, cancellationToken);
            var now = await session.Client.ListStatisticsAsync(cancellationToken);
            var seconds = session.Shell.Time.GetElapsedTime(since).TotalSeconds;
            since = session.Shell.Time.GetTimestamp();
            await ShowAsync(session, before, now, seconds, cancellationToken);
            before = now;
        }
    }

    private static async Task ShowAsync(
        Session session, IReadOnlyList<VirtualMachineStatistics> before, IReadOnlyList<VirtualMachineStatistics> now, double seconds,
        CancellationToken cancellationToken)
    {
        var table = new Table(session.Paint, "VM", "DISK", ">READS/S", ">WRITES/S", ">FLUSHES/S", ">READ/S", ">WRITTEN/S", ">READ 99%", ">WRITE 99%", ">ERRORS", "SHORT");
        var rates = DiskRates.Between(before, now, seconds);
        foreach (var rate in rates)
            table.AddColoured(rate.Errors > 0 ? session.Paint.Red : rate.IsShort ? session.Paint.Yellow : null, rate.Cells);
        if (rates.Count == 0)
            session.Talk.Say("no VM runs");
        table.Write(session.Shell.Out);
        await session.Shell.Out.WriteLineAsync();
        await session.Shell.Out.FlushAsync(cancellationToken);
    }
}
