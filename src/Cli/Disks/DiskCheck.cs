using System.Globalization;
using Godwit.Cli.Text;
using Godwit.Storage;
using Godwit.Storage.Formats;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk check</summary>
internal static class DiskCheck
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var path = DiskCommands.PathArgument();
        var verb = new Verb("check", "Examines an image file and lists everything that is wrong; never writes", "godwit disk check data.vhdx") { path };
        verb.AddJson("Write the findings as JSON");
        verb.Does(shell, global, (session, cancellationToken) => RunAsync(session, session.Shell.AbsolutePath(session.Get(path)), cancellationToken));
        return verb;
    }

    private static async Task<int> RunAsync(Session session, string path, CancellationToken cancellationToken)
    {
        try
        {
            var report = await ExamineAsync(path, cancellationToken);
            if (!session.TryWriteJson(report, JsonText.Own.DiskCheckReport))
                Write(session, report);
            return report.Clean ? ExitCode.Ok : ExitCode.Failed;
        }
        catch (StorageException e) when (e.Kind != StorageErrorKind.NotFound)
        {
            session.Talk.Fail(Failure.Describe(e));
            return ExitCode.NotChecked;
        }
    }

    private static async Task<DiskCheckReport> ExamineAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            var report = await DiskImage.CheckAsync(path, cancellationToken);
            var findings = report.Findings.Select(found => new DiskFinding(found.Severity.ToString(), found.Offset, found.Message)).ToList();
            return new DiskCheckReport(path, report.Findings.All(found => found.Severity != CheckSeverity.Error), findings);
        }
        catch (StorageException e) when (e.Kind == StorageErrorKind.Corrupt)
        {
            // Too broken to go on examining: that is a finding too.
            return new DiskCheckReport(path, false, [new DiskFinding(nameof(CheckSeverity.Error), e.Offset, e.Reason)]);
        }
    }

    private static void Write(Session session, DiskCheckReport report)
    {
        foreach (var finding in report.Findings)
        {
            var where = finding.Offset is long offset ? string.Create(CultureInfo.InvariantCulture, $" at offset {offset} (0x{offset:x})") : "";
            var word = finding.Severity.ToLowerInvariant();
            session.Shell.Out.WriteLine(Printable.From($"{word}: {finding.Message}{where}"));
        }

        session.Talk.Say(report.Clean ? $"{report.Path}: no errors found" : $"{report.Path}: has errors; keep a copy before repairing it");
    }
}
