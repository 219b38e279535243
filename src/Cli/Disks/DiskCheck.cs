using System.Globalization;
using Godwit.Api.Disks;
using Godwit.Cli.Text;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;

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
            var reports = layers.Select(layer => Report(layer.Path, layer.Report)).ToList();
            return reports.Count == 1
                ? reports[0]
                : reports[0] with { Sound = reports.TrueForAll(report => report.Sound), Parents = reports[1..] };
        }
        catch (StorageException e) when (e.Kind == StorageErrorKind.Corrupt)
        {
            // Too broken to go on examining: that is a finding too.
            return new DiskCheckReport(path, false, 1, 0, 0, 0, [new DiskFinding(CheckSeverity.Error, e.Offset, e.Reason)]);
        }
    }

    private static DiskCheckReport Report(string path, CheckReport report)
    {
        var findings = report.Findings.Select(found => new DiskFinding(found.Severity, found.Offset, found.Message)).ToList();
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
        return $"{colour(word)}{where}: {Printable.From(finding.Message)}";
    }
}
