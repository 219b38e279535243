using System.CommandLine;
using Godwit.Cli.Text;
using Godwit.Storage.Chains;
using Godwit.Storage.Operations;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk rebase, godwit disk set-parent: what a differencing image has as its parent.</summary>
internal sealed class DiskParentChange
{
    private readonly Argument<string> _path = DiskCommands.PathArgument("PATH", "The differencing image");
    private readonly Argument<string> _parent;
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Only check, and say what would be done" };
    private readonly ChainArguments _chain = new();
    private readonly ChangeAsync _change;

    private DiskParentChange(string parent, ChangeAsync change) =>
        (_parent, _change) = (DiskCommands.PathArgument("PARENT", parent), change);

    /// <summary>Changes the parent, or only says what that would be.</summary>
    /// <returns>Bytes written into the image for it, and what to say.</returns>
    private delegate Task<(long Written, string Text)> ChangeAsync(Change change, ChainOptions options, CancellationToken cancellationToken);

    /// <summary>Makes <c>disk rebase</c>.</summary>
    public static Verb CreateRebase(Shell shell, GlobalOptions global) => new DiskParentChange("Its new parent", RebaseAsync).Create(
        "rebase", "Gives a differencing image another parent; what it reads as stays the same", "godwit disk rebase web_2.avhdx base-2026.vhdx",
        shell, global);

    /// <summary>Makes <c>disk set-parent</c>.</summary>
    public static Verb CreateSetParent(Shell shell, GlobalOptions global) => new DiskParentChange("Where its parent is now", SetParentAsync).Create(
        "set-parent", "Writes into a differencing image where its parent is now; the parent must be the same one",
        "godwit disk set-parent web_1.avhdx /srv/base/base.vhdx", shell, global);

    private static async Task<(long Written, string Text)> RebaseAsync(
        Change change, ChainOptions options, CancellationToken cancellationToken)
    {
        var (session, path, parent, dry) = change;
        session.AfterCancel = "the image reads as before, and the same command begins again";
        var (rebase, meter) = (new ChainRebase(path, parent, options), new OperationMeter(session));
        var written = await (dry ? rebase.MeasureAsync(meter.Show, cancellationToken) : rebase.RunAsync(meter.Show, cancellationToken));
        session.Talk.EndProgress();
        return (written, dry
            ? $"{path} would get {parent} as its parent; {ByteSize.Format(written)} would be written into it"
            : $"{path} has {parent} as its parent now; {ByteSize.Format(written)} were written into it");
    }

    private static async Task<(long Written, string Text)> SetParentAsync(
        Change change, ChainOptions options, CancellationToken cancellationToken)
    {
        var (_, path, parent, dry) = change;
        if (dry)
            await ChildImage.CheckParentAsync(path, parent, options, cancellationToken);
        else
            await ChildImage.SetParentAsync(path, parent, options, cancellationToken);
        return (0, dry ? $"{path} would look for its parent at {parent}" : $"{path} looks for its parent at {parent} now");
    }

    private Verb Create(string name, string description, string example, Shell shell, GlobalOptions global)
    {
        var verb = new Verb(name, description, example) { _path, _parent, _dryRun };
        _chain.AddTo(verb);
        verb.AddJson("Write what was done, or would be, as JSON");
        verb.Does(shell, global, RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var path = session.Shell.AbsolutePath(session.Get(_path));
        var parent = session.Shell.AbsolutePath(session.Get(_parent));
        var (written, text) = await _change(
            new Change(session, path, parent, session.Get(_dryRun)), _chain.Read(session), cancellationToken);
        if (!session.TryWriteJson(new DiskParentReport(path, parent, written), JsonText.Own.DiskParentReport))
            session.Talk.Say(text);
        return ExitCode.Ok;
    }

    /// <summary>What is asked for.</summary>
    private sealed record Change(Session Session, string Path, string Parent, bool DryRun);
}
