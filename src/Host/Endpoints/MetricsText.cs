using System.Globalization;
using System.Text;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;

namespace Godwit.Host.Endpoints;

/// <summary>Statistics in Prometheus' text format.</summary>
internal static class MetricsText
{
    private static readonly double[] Bounds =
        [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

    /// <summary>Everything there is.</summary>
    public static string Of(IReadOnlyList<VirtualMachineStatistics> statistics)
    {
        var text = new StringBuilder();
        var lines = statistics.SelectMany(Lines).ToList();
        Family(text, lines, "godwit_disk_requests_total", "counter", "Requests that have ended.", (line, to) => One(to, line, "", line.Counts.Requests));
        Family(text, lines, "godwit_disk_bytes_total", "counter", "Bytes of requests that succeeded.", (line, to) => One(to, line, "", line.Counts.Bytes));
        Family(text, lines, "godwit_disk_errors_total", "counter", "Requests that failed.", (line, to) => One(to, line, "", line.Counts.Errors));
        Family(text, lines, "godwit_disk_latency_seconds", "histogram", "How long requests took.", Histogram);
        Shortfalls(text, statistics);
        return text.ToString();
    }

    private static void Shortfalls(StringBuilder text, IReadOnlyList<VirtualMachineStatistics> statistics)
    {
        text.Append("# HELP godwit_disk_below_minimum 1 while a disk does not get the requests per second it was promised.\n# TYPE godwit_disk_below_minimum gauge\n");
        foreach (var (vm, disk) in statistics.SelectMany(vm => vm.Disks.Select(disk => (vm, disk))))
            text.Append(CultureInfo.InvariantCulture, $"godwit_disk_below_minimum{{{LabelsOf(vm.Name, disk.Name)}}} {(disk.Shortfall is null ? 0 : 1)}\n");
    }

    private static string LabelsOf(string vm, string disk) => $"vm=\"{Escaped(vm)}\",disk=\"{Escaped(disk)}\"";

    private static string Escaped(string value) => value
        .Replace("\\", "\\\\", StringComparison.Ordinal)
        .Replace("\"", "\\\"", StringComparison.Ordinal)
        .Replace("\n", "\\n", StringComparison.Ordinal);

    private static IEnumerable<Line> Lines(VirtualMachineStatistics vm) => vm.Disks.SelectMany(disk => new[]
    {
        new Line(vm.Name, disk.Name, "read", disk.Statistics.Reads),
        new Line(vm.Name, disk.Name, "write", disk.Statistics.Writes),
        new Line(vm.Name, disk.Name, "flush", disk.Statistics.Flushes),
        new Line(vm.Name, disk.Name, "discard", disk.Statistics.Discards),
    });

    private static void Family(StringBuilder text, List<Line> lines, string name, string type, string help, Action<Line, Writer> write)
    {
        text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {type}\n");
        foreach (var line in lines)
            write(line, (suffix, labels, value) => text.Append(CultureInfo.InvariantCulture, $"{name}{suffix}{{{labels}}} {value}\n"));
    }

    private static void One(Writer to, Line line, string suffix, double value) => to(suffix, line.Labels, Number(value));

    private static void Histogram(Line line, Writer to)
    {
        foreach (var bound in Bounds)
        {
            var below = line.Counts.Latency.Where(step => step.Nanoseconds <= bound * 1e9).Sum(step => step.Requests);
            to("_bucket", $"{line.Labels},le=\"{Number(bound)}\"", Number(below));
        }

        to("_bucket", $"{line.Labels},le=\"+Inf\"", Number(line.Counts.Latency.Sum(step => step.Requests)));
        One(to, line, "_sum", line.Counts.Nanoseconds / 1e9);
        One(to, line, "_count", line.Counts.Latency.Sum(step => step.Requests));
    }

    private static string Number(double value) => value.ToString("0.#########", CultureInfo.InvariantCulture);

    private delegate void Writer(string suffix, string labels, string value);

    private sealed record Line(string Vm, string Disk, string Operation, OperationStatistics Counts)
    {
        public string Labels { get; } = $"{LabelsOf(Vm, Disk)},operation=\"{Operation}\"";
    }
}
