using System.Text;
using Godwit.Benchmarks.Nbd;

namespace Godwit.Benchmarks.Mirror;

/// <summary>The result for people: tables that read the same on a terminal and in docs/benchmarks.md.</summary>
internal static class MirrorText
{
    public static void Print(MirrorReport report)
    {
        var text = new StringBuilder();
        NbdText.Line(text, $"| whole disk, fsync included | MiB/s |");
        NbdText.Line(text, $"|---|---:|");
        foreach (var bulk in report.Bulk)
            NbdText.Line(text, $"| {bulk.Program} | {bulk.BytesPerSecond / 1048576:N0} |");
        NbdText.Line(text, $"");
        NbdText.Line(text, $"| guest 4 KiB writes | depth | alone writes/s | mirrored writes/s | kept % | rounds in which the copy outlasted the guest |");
        NbdText.Line(text, $"|---|---:|---:|---:|---:|---:|");
        foreach (var guest in report.Guests)
        {
            NbdText.Line(
                text,
                $"| {guest.Program} | {guest.Depth} | {guest.Alone:N0} | {guest.Mirrored:N0} | {guest.KeptPercent:N1} | {guest.StillCopying} of {report.Rounds} |");
        }

        var stall = report.Stall;
        NbdText.Line(text, $"");
        NbdText.Line(
            text,
            $"Longest write around each of {stall.Switches} switchovers: median {stall.MedianMilliseconds:N1} ms, p99 {stall.P99Milliseconds:N1} ms, longest {stall.LongestMilliseconds:N1} ms; a write at other times {stall.UsualMilliseconds:N2} ms.");
        NbdText.Line(text, $"");
        NbdText.AddGoals(text, report.Goals);
        NbdText.Line(
            text,
            $"{report.Rounds} rounds on {report.FileSystem} in {report.Folder}, {report.Processors} processors, load average {report.LoadAverage:N1} at the end.");
        Console.Write(text);
    }
}
