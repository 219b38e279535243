using System.Globalization;
using System.Text;

namespace Godwit.Benchmarks.Nbd;

/// <summary>The result for people: a table that reads the same on a terminal and in docs/benchmarks.md.</summary>
internal static class NbdText
{
    public static void Print(NbdReport report)
    {
        var text = new StringBuilder();
        Line(text, $"| load | godwit req/s | qsd threads | qsd io_uring | ratio | godwit CPU us/req | qsd CPU us/req | ratio |");
        Line(text, $"|---|---:|---:|---:|---:|---:|---:|---:|");
        foreach (var load in Load.All)
        {
            var (ours, threads, ring) = (Find("godwit"), Find("qsd-threads"), Find("qsd-io_uring"));
            var iops = ours.Iops / Math.Max(threads.Iops, ring.Iops);
            var theirs = Math.Min(threads.CpuMicrosecondsPerRequest, ring.CpuMicrosecondsPerRequest);
            Line(
                text,
                $"| {load.Name} | {ours.Iops:N0} | {threads.Iops:N0} | {ring.Iops:N0} | {iops:N2} | {ours.CpuMicrosecondsPerRequest:N1} | {theirs:N1} | {ours.CpuMicrosecondsPerRequest / theirs:N2} |");

            Measurement Find(string server) => report.Results.Single(result => result.Name == load.Name && result.Server == server);
        }

        Line(text, $"");
        Line(text, $"Bytes allocated per request in steady state: {report.BytesAllocatedPerRequest:0.###}.");
        Line(text, $"Memory of the worker after the run: {report.GodwitResidentBytes / 1048576.0:N1} MiB.");
        Line(text, $"Files in {report.Folder}, {report.Processors} processors, load average {report.LoadAverage:N1} at the end.");
        Console.Write(text);
    }

    private static void Line(StringBuilder text, FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));
}
