using System.Globalization;
using Godwit.Cli.Text;
using Godwit.Storage.Formats;
using Godwit.Storage.Repair;

namespace Godwit.Cli.Disks;

/// <summary>Writes what a repair found and did for a person.</summary>
/// <param name="session">The command.</param>
/// <param name="dryRun">Nothing was done.</param>
internal sealed class RepairText(Session session, bool dryRun)
{
    private const int MaxRanges = 100;

    /// <summary>Writes everything.</summary>
    public void Write(DiskRepairReport report)
    {
        foreach (var step in report.Steps)
            Write(step);
        foreach (var finding in report.Remaining.Where(static finding => finding.Severity != CheckSeverity.Information))
            session.Shell.Out.WriteLine($"{session.Paint.Yellow("left")}{At(finding.Offset)}: {Printable.From(finding.Message)}");
        session.Talk.Say(Conclude(report));
        if (report.Steps.Any(static step => step.Outcome == RepairOutcome.NeedsLossy))
            session.Talk.Say("--lossy mends what is marked so, and gives up what is listed; look at it with --dry-run first");
    }

    private string Conclude(DiskRepairReport report)
    {
        var rest = report.Sound ? "no errors are left" : "errors are left";
        if (report.Steps.Count == 0)
            return report.Sound ? $"{report.Path}: nothing to repair" : $"{report.Path}: damaged, and nothing here knows how to repair it";
        if (dryRun)
            return $"{report.Path}: nothing was written; after this repair {rest.Replace("are", "would be", StringComparison.Ordinal)}";
        if (!report.Repaired)
            return $"{report.Path}: not changed; {rest}";
        return report.Copy is string copy
            ? $"{report.Path}: not changed; repaired copy: {copy}; {rest}"
            : $"{report.Path}: repaired, {rest}; godwit disk repair {Quoting.ForShell(report.Path)} --restore {Quoting.ForShell(report.Undo!)} puts it back";
    }

    private void Write(RepairStep step)
    {
        var (word, colour) = step.Outcome switch
        {
            RepairOutcome.Mended => (dryRun ? "would mend" : "mended", (Func<string, string>)session.Paint.Green),
            RepairOutcome.MendedWithLoss => (dryRun ? "would mend with loss" : "mended with loss", session.Paint.Yellow),
            RepairOutcome.NeedsLossy => ("needs --lossy", session.Paint.Yellow),
            _ => ("cannot be mended", session.Paint.Red),
        };
        session.Shell.Out.WriteLine($"{colour(word)}{At(step.Offset)}: {Printable.From(step.Problem)}: {Printable.From(step.Action)}");
        foreach (var lost in step.Lost.Take(MaxRanges))
            session.Shell.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  disk bytes {lost.Offset} to {lost.Offset + lost.Length - 1} ({ByteSize.Format(lost.Length)})"));
        if (step.Lost.Count > MaxRanges)
            session.Shell.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  and {step.Lost.Count - MaxRanges} ranges more, {step.LostBytes} bytes in all; --json lists them"));
    }

    private static string At(long? offset) =>
        offset is long at ? string.Create(CultureInfo.InvariantCulture, $" at offset {at} (0x{at:x})") : "";
}
