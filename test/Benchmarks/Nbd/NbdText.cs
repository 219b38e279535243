using System.Globalization;
using System.Text;

namespace Godwit.Benchmarks.Nbd;

/// <summary>The result for people: tables that read the same on a terminal and in docs/benchmarks.md.</summary>
internal static class NbdText
{
    public static void Print(NbdReport report)
    {
        var text = new StringBuilder();
        if (report.Results.Count > 0)
            AddLoads(text, report.Results);
        if (report.Starts.Count > 0)
            AddStarts(text, report.Starts);
        if (report.Copies.Count > 0)
            AddCopies(text, report.Copies);
        AddGoals(text, report.Goals);
        if (report.BytesAllocatedPerRequest is { } allocated)
            Line(text, $"Bytes allocated per request in steady state: {allocated:0.###}.");
        if (report.GodwitResidentBytes is { } resident)
            Line(text, $"Memory of the worker after the run: {resident / 1048576.0:N1} MiB.");
        foreach (var note in report.Notes)
            text.AppendLine(note);
        Line(
            text,
            $"{report.Rounds} rounds; files in {report.Folder} and {report.DiskFolder}, {report.Processors} processors, load average {report.LoadAverage:N1} at the end.");
        Console.Write(text);
    }

    /// <summary>Adds the table of goals.</summary>
    public static void AddGoals(StringBuilder text, IReadOnlyList<Goal> goals)
    {
        Line(text, $"| goal | mark | measured | |");
        Line(text, $"|---|---:|---:|---|");
        foreach (var goal in goals)
        {
            var sign = goal.AtLeast ? ">=" : "<=";
            Line(text, $"| {goal.Name} | {sign} {goal.Limit:0.##} {goal.Unit} | {goal.Measured:N2} | {(goal.Met ? "met" : "**not met**")} |");
        }

        Line(text, $"");
    }

    /// <summary>Adds a line that is written the same everywhere.</summary>
    public static void Line(StringBuilder text, FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));

    private static void AddLoads(StringBuilder text, IReadOnlyList<Measurement> results)
    {
        Line(text, $"| load | godwit req/s | qsd threads | qsd io_uring | ratio | nbdkit | ratio | godwit CPU us/req | qsd CPU us/req | ratio |");
        Line(text, $"|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
        foreach (var load in results.Select(result => result.Name).Distinct())
        {
            var (ours, threads, ring) = (Find("godwit")!, Find("qsd-threads")!, Find("qsd-io_uring")!);
            var theirs = Math.Min(threads.CpuMicrosecondsPerRequest, ring.CpuMicrosecondsPerRequest);
            var beside = Find("nbdkit") is { } nbdkit ? FormattableString.Invariant($"{nbdkit.Iops:N0} | {ours.Iops / nbdkit.Iops:N2}") : " | ";
            Line(
                text,
                $"| {load} | {ours.Iops:N0} | {threads.Iops:N0} | {ring.Iops:N0} | {Ratio.Iops(results, load, "qsd"):N2} | {beside} | {ours.CpuMicrosecondsPerRequest:N1} | {theirs:N1} | {Ratio.Cpu(results, load, "qsd"):N2} |");

            Measurement? Find(string server) => results.SingleOrDefault(result => result.Name == load && result.Server == server);
        }

        Line(text, $"");
    }

    private static void AddStarts(StringBuilder text, IReadOnlyList<StartMeasurement> starts)
    {
        Line(text, $"| server | start to greeting ms | idle MiB | after one connection MiB |");
        Line(text, $"|---|---:|---:|---:|");
        foreach (var start in starts)
            Line(text, $"| {start.Server} | {start.Milliseconds:N1} | {start.IdleBytes / 1048576.0:N1} | {start.ServedBytes / 1048576.0:N1} |");
        Line(text, $"");
    }

    private static void AddCopies(StringBuilder text, IReadOnlyList<CopyMeasurement> copies)
    {
        Line(text, $"| nbdcopy of the sparse disk | from | seconds | server CPU s |");
        Line(text, $"|---|---|---:|---:|");
        foreach (var copy in copies)
            Line(text, $"| to {copy.Target} | {copy.Server} | {copy.Seconds:N3} | {copy.CpuSeconds:N3} |");
        Line(text, $"");
    }
}
