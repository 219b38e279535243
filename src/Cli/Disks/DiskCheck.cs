using System.Globalization;
using Godwit.Api.Disks;
using Godwit.Cli.Text;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Storage.Repair;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk check</summary>
internal static class DiskCheck
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var path = DiskCommands.PathArgument();
        var format = DiskCommands.ExpectedFormatOption();
        var chain = new ChainArguments();
        var verb = new Verb(
            "check", "Examines an image file and its parents and lists everything that is wrong; never writes",
            "godwit disk check data.vhdx")
        {
            path, format,
        };
        chain.AddTo(verb);
        verb.AddJson("Write the findings as JSON");
        verb.Does(shell, global, (session, cancellationToken) => RunAsync(
            session, session.Shell.AbsolutePath(session.Get(path)), session.Get(format), chain.Read(session, session.Get(format)),
            cancellationToken));
        return verb;
    }

    private static async Task<int> RunAsync(
        Session session, string path, DiskFormat? format, ChainOptions options, CancellationToken cancellationToken)
    {
        try
        {
            var report = await ExamineAsync(path, format, options, cancellationToken);
            if (!session.TryWriteJson(report, JsonText.Own.DiskCheckReport))
            {
                Write(session, report);
                foreach (var parent in report.Parents ?? [])
                    Write(session, parent);
            }

            return report.Sound ? ExitCode.Ok : ExitCode.Failed;
        }
        catch (StorageException e) when (e.Kind != StorageErrorKind.NotFound)
        {
            session.Talk.Fail(Failure.Describe(e));
            return ExitCode.NotChecked;
        }
    }

    private static async Task<DiskCheckReport> ExamineAsync(
        string path, DiskFormat? format, ChainOptions options, CancellationToken cancellationToken)
    {
        try
        {
            await ImageNames.RequireContentAsync(path, format, cancellationToken);
            var layers = await ChainCheck.RunAsync(path, options, cancellationToken);
            var reports = new List<DiskCheckReport>();
            foreach (var layer in layers)
                reports.Add(await ReportAsync(layer.Path, reports.Count == 0 ? options.Format : null, layer.Report, cancellationToken));
            return reports.Count == 1
                ? reports[0]
                : reports[0] with { Sound = reports.TrueForAll(report => report.Sound), Parents = reports[1..] };
        }
        catch (StorageException e) when (e.Kind == StorageErrorKind.Corrupt)
        {
            // Too broken to go on examining: that is a finding too.
            var report = new CheckReport([new CheckFinding(CheckSeverity.Error, e.Offset, e.Reason)], 1, 0, 0, 0);
            return await ReportAsync(path, options.Format, report, cancellationToken);
        }
    }

    private static async Task<DiskCheckReport> ReportAsync(
        string path, ImageFormat? format, CheckReport found, CancellationToken cancellationToken)
    {
        var report = await RepairForecast.AddAsync(path, format, found, cancellationToken);
        var findings = report.Findings
            .Select(one => new DiskFinding(one.Severity, one.Offset, one.Message) { Remedy = one.Remedy == CheckRemedy.None ? null : one.Remedy })
            .ToList();
        return new DiskCheckReport(
            path, report.IsSound, report.Errors, report.Warnings, report.TotalBlocks, report.AllocatedBlocks, findings);
    }

    private static void Write(Session session, DiskCheckReport report)
    {
        foreach (var finding in report.Findings)
            session.Shell.Out.WriteLine(Line(session, finding));
        var count = report.Errors == 1 ? "1 error" : string.Create(CultureInfo.InvariantCulture, $"{report.Errors} errors");
        session.Talk.Say(
            report.Errors == 0 ? $"{report.Path}: no errors found" : $"{report.Path}: {count}; keep a copy before repairing it");
        if (report.Findings.Any(static finding => finding.Remedy is not null))
            session.Talk.Say($"godwit disk repair {Quoting.ForShell(report.Path)} --dry-run shows how that can be mended");
    }

    private static string Line(Session session, DiskFinding finding)
    {
        var (word, colour) = finding.Severity switch
        {
            CheckSeverity.Error => ("error", session.Paint.Red),
            CheckSeverity.Warning => ("warning", (Func<string, string>)session.Paint.Yellow),
            _ => ("note", session.Paint.Dim),
        };
        var where = finding.Offset is long offset
            ? string.Create(CultureInfo.InvariantCulture, $" at offset {offset} (0x{offset:x})")
            : "";
        var remedy = finding.Remedy switch
        {
            CheckRemedy.Repair => " [disk repair mends it]",
            CheckRemedy.RepairLossy => " [disk repair --lossy mends it]",
            _ => "",
        };
        return $"{colour(word)}{where}: {Printable.From(finding.Message)}{remedy}";
    }
}
