using System.Globalization;
using System.Text;

namespace Godwit.Benchmarks.Disk;

/// <summary>The result for people: tables that read the same on a terminal and in docs/benchmarks.md.</summary>
internal static class DiskText
{
    public static void Print(DiskReport report)
    {
        var text = new StringBuilder();
        if (report.Results.Count > 0)
            AddOperations(text, report);
        if (report.NewBlocks.Count > 0)
            AddNewBlocks(text, report);
        foreach (var note in report.Notes)
            Line(text, $"Note: {note}.");
        Line(text, $"Files in {report.Folder} ({report.FileSystem}), {report.Processors} processors, load average {report.LoadAverage:N1} at the end.");
        Console.Write(text);
    }

    // A ratio is the other's time divided by ours: above 1 we are quicker.
    private static void AddOperations(StringBuilder text, DiskReport report)
    {
        Line(text, $"| operation | godwit s | qemu-img s | ratio | median ratio | ratio with fsync | CPU ratio | cp s | ratio with fsync | godwit MiB | qemu-img MiB |");
        Line(text, $"|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
        foreach (var group in report.Results.GroupBy(result => result.Case))
        {
            var (ours, qemu) = (group.Single(result => result.Program == "godwit"), group.Single(result => result.Program == "qemu-img"));
            var copy = group.FirstOrDefault(result => result.Program == "cp");
            Line(
                text,
                $"| {group.Key} | {ours.Seconds:0.000} | {qemu.Seconds:0.000} | {qemu.Seconds / ours.Seconds:0.00} | {qemu.MedianSeconds / ours.MedianSeconds:0.00} | {qemu.DurableSeconds / ours.DurableSeconds:0.00} | {qemu.CpuSeconds / ours.CpuSeconds:0.00} | {copy?.Seconds:0.000} | {copy?.DurableSeconds / ours.DurableSeconds:0.00} | {Mebibytes(ours.PeakBytes):0.0} | {Mebibytes(qemu.PeakBytes):0.0} |");
        }

        Line(text, $"");
    }

    private static void AddNewBlocks(StringBuilder text, DiskReport report)
    {
        Line(text, $"| new blocks | godwit blocks/s | qemu-storage-daemon blocks/s | ratio | median ratio | godwit fdatasync | qemu fdatasync | for blocks |");
        Line(text, $"|---|---:|---:|---:|---:|---:|---:|---:|");
        foreach (var group in report.NewBlocks.GroupBy(result => result.Load))
        {
            var (ours, qemu) = (group.Single(result => result.Server == "godwit"), group.Single(result => result.Server != "godwit"));
            var (best, theirs) = (ours.BlocksPerSecond.Max(), qemu.BlocksPerSecond.Max());
            Line(
                text,
                $"| {group.Key} | {best:N0} | {theirs:N0} | {best / theirs:0.0} | {Median(ours) / Median(qemu):0.0} | {Calls(ours)} | {Calls(qemu)} | {ours.Blocks - 1} |");
        }

        Line(text, $"");
    }

    private static string Calls(NewBlocksMeasurement result) => result.SyncCalls?.ToString(CultureInfo.InvariantCulture) ?? "not counted: no strace";

    private static double Median(NewBlocksMeasurement result) => result.BlocksPerSecond.Order().ElementAt(result.BlocksPerSecond.Count / 2);

    private static double Mebibytes(long bytes) => bytes / 1048576.0;

    private static void Line(StringBuilder text, FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));
}
