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
    private readonly ChainArguments _chain = new();
    private readonly ChangeAsync _change;

    private DiskParentChange(string parent, ChangeAsync change) =>
        (_parent, _change) = (DiskCommands.PathArgument("PARENT", parent), change);

    /// <summary>Changes the parent.</summary>
    /// <returns>Bytes written into the image for it, and what to say.</returns>
    private delegate Task<(long Written, string Text)> ChangeAsync(Session session, string path, string parent, ChainOptions options, CancellationToken cancellationToken);

    /// <summary>Makes <c>disk rebase</c>.</summary>
    public static Verb CreateRebase(Shell shell, GlobalOptions global) => new DiskParentChange("Its new parent", RebaseAsync).Create(
        "rebase", "Gives a differencing image another parent; what it reads as stays the same", "godwit disk rebase web_2.avhdx base-2026.vhdx",
        shell, global);

    /// <summary>Makes <c>disk set-parent</c>.</summary>
    public static Verb CreateSetParent(Shell shell, GlobalOptions global) => new DiskParentChange("Where its parent is now", SetParentAsync).Create(
        "set-parent", "Writes into a differencing image where its parent is now; the parent must be the same one",
        "godwit disk set-parent web_1.avhdx /srv/base/base.vhdx", shell, global);

    private static async Task<(long Written, string Text)> RebaseAsync(
        Session session, string path, string parent, ChainOptions options, CancellationToken cancellationToken)
    {
        session.AfterCancel = "the image reads as before, and the same command begins again";
        var written = await new ChainRebase(path, parent, options).RunAsync(new OperationMeter(session).Show, cancellationToken);
        session.Talk.EndProgress();
        return (written, $"{path} has {parent} as its parent now; {ByteSize.Format(written)} were written into it");
    }

    private static async Task<(long Written, string Text)> SetParentAsync(
        Session session, string path, string parent, ChainOptions options, CancellationToken cancellationToken)
    {
        await ChildImage.SetParentAsync(path, parent, options, cancellationToken);
        return (0, $"{path} looks for its parent at {parent} now");
    }

    private Verb Create(string name, string description, string example, Shell shell, GlobalOptions global)
    {
        var verb = new Verb(name, description, example) { _path, _parent };
        _chain.AddTo(verb);
        verb.AddJson("Write what was done as JSON");
        verb.Does(shell, global, RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var path = session.Shell.AbsolutePath(session.Get(_path));
        var parent = session.Shell.AbsolutePath(session.Get(_parent));
        var (written, text) = await _change(session, path, parent, _chain.Read(session), cancellationToken);
        if (!session.TryWriteJson(new DiskParentReport(path, parent, written), JsonText.Own.DiskParentReport))
            session.Talk.Say(text);
        return ExitCode.Ok;
    }
}
