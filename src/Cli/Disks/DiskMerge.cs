using System.CommandLine;
using Godwit.Cli.Text;
using Godwit.Storage.Operations;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk merge</summary>
internal sealed class DiskMerge
{
    private readonly Argument<string> _path = DiskCommands.PathArgument("PATH", "The uppermost layer to merge; it is gone afterwards");
    private readonly Option<string?> _into = new("--into")
    {
        Description = "The layer below that receives it, and everything between; PATH's parent when not given",
        HelpName = "FILE",
    };

    private readonly Option<string?> _leaf = new("--leaf")
    {
        Description = "The leaf of the chain, when PATH is not the leaf itself: the layer above PATH gets its new parent",
        HelpName = "FILE",
    };

    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Only check, and show what would be done" };
    private readonly Option<bool> _orphan = new("--orphan-children")
    {
        Description = "Merge although other images have a merged layer or its target as their parent; they become unreadable",
    };

    private readonly ChainArguments _chain = new();

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var options = new DiskMerge();
        var verb = new Verb(
            "merge", "Merges a layer into one below it, and removes the merged files",
            "godwit disk merge web_1.avhdx --leaf web_2.avhdx")
        {
            options._path, options._into, options._leaf, options._dryRun, options._orphan,
        };
        options._chain.AddTo(verb);
        verb.AddJson("Write what was done, or would be, as JSON");
        verb.Does(shell, global, options.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        session.AfterCancel = "the chain reads as before, and the same command begins again";
        var path = session.Shell.AbsolutePath(session.Get(_path));
        var leaf = session.GetPath(_leaf);
        var merge = await ChainMerge.PlanAsync(
            leaf ?? path, leaf is null ? null : path, session.GetPath(_into), _chain.Read(session), cancellationToken);
        if (!session.Get(_orphan))
            await merge.RequireNoOtherChildrenAsync(cancellationToken);
        var report = new DiskMergeReport(merge.Target.Path, [.. merge.Merged.Select(layer => layer.Path)], merge.Above?.Path);
        if (!session.Get(_dryRun))
        {
            await merge.RunAsync(new OperationMeter(session).Show, cancellationToken);
            session.Talk.EndProgress();
        }

        if (!session.TryWriteJson(report, JsonText.Own.DiskMergeReport))
            Say(session, report);
        return ExitCode.Ok;
    }

    private void Say(Session session, DiskMergeReport report)
    {
        var (did, removed, parent) = session.Get(_dryRun)
            ? ("would merge", "would be removed", "would get it as its parent") : ("merged", "removed", "has it as its parent now");
        session.Talk.Say($"{did} into {report.Target}");
        foreach (var merged in report.Merged)
            session.Talk.Say($"{removed}: {merged}");
        if (report.Above is not null)
            session.Talk.Say($"{parent}: {report.Above}");
    }
}
