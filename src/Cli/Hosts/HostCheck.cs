using Godwit.Api.Hosts;
using Godwit.Cli.Text;

namespace Godwit.Cli.Hosts;

/// <summary>godwit host check</summary>
internal static class HostCheck
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var verb = new Verb(
            "check", "Looks at everything a host needs, says what is wrong and what to do about it", "godwit host check");
        verb.AddJson("Write an array of findings");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var findings = await session.Client.CheckHostAsync(cancellationToken);
            if (!session.TryWriteJson(findings, JsonText.Api.IReadOnlyListCheckFinding))
                Write(session, findings);
            return findings.Any(finding => finding.Severity == CheckSeverity.Error) ? ExitCode.Failed : ExitCode.Ok;
        });
        return verb;
    }

    private static void Write(Session session, IReadOnlyList<CheckFinding> findings)
    {
        foreach (var finding in findings)
        {
            session.Shell.Out.WriteLine($"{Mark(finding.Severity, session.Paint)}  {Printable.From(finding.Title)}");
            if (finding.Remedy is { } remedy)
                session.Shell.Out.WriteLine($"         {Printable.From(remedy)}");
        }
    }

    private static string Mark(CheckSeverity severity, Paint paint) => severity switch
    {
        CheckSeverity.Good => paint.Green("good   "),
        CheckSeverity.Warning => paint.Yellow("warning"),
        _ => paint.Red("error  "),
    };
}
