using System.CommandLine;
using Godwit.Api.Hosts;
using Godwit.Cli.Text;

namespace Godwit.Cli.Hosts;

/// <summary>godwit host rescan</summary>
internal static class HostRescan
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var folders = new Argument<string[]>("DIR")
        {
            Description = "Folders to look in, three levels deep; where the host keeps VMs when none is given",
            Arity = ArgumentArity.ZeroOrMore,
        };
        var dryRun = new Option<bool>("--dry-run") { Description = "Only say what would be done" };
        var verb = new Verb(
            "rescan", "Finds the configuration files of VMs and takes in those the host does not know", "godwit host rescan /srv/vms")
        {
            folders, dryRun,
        };
        verb.AddJson("Write an array of what was found");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            string[] places = [.. session.Get(folders).Select(session.Shell.AbsolutePath)];
            var findings = await session.Client.RescanAsync(new RescanRequest(places, session.Get(dryRun)), cancellationToken);
            if (!session.TryWriteJson(findings, JsonText.Api.IReadOnlyListRescanFinding))
                Write(session, findings);
            return findings.Any(finding => finding.Outcome == RescanOutcome.Refused) ? ExitCode.Failed : ExitCode.Ok;
        });
        return verb;
    }

    private static void Write(Session session, IReadOnlyList<RescanFinding> findings)
    {
        if (findings.Count == 0)
        {
            session.Talk.Say("no configuration files were found");
            return;
        }

        var table = new Table(session.Paint, "VM", "OUTCOME", "FILE", "REMARK");
        foreach (var finding in findings)
            table.Add(finding.Name ?? "-", Kebab.Of(finding.Outcome), finding.File, $"{finding.Problem?.Title} {finding.Problem?.Remedy}".Trim());
        table.Write(session.Shell.Out);
    }
}
