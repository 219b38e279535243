using System.CommandLine;
using Godwit.Cli.Text;
using Godwit.Storage.Chains;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk set-parent</summary>
internal sealed class DiskSetParent
{
    private readonly Argument<string> _path = DiskCommands.PathArgument("PATH", "The differencing image");
    private readonly Argument<string> _parent = DiskCommands.PathArgument("PARENT", "Where its parent is now");
    private readonly ChainArguments _chain = new();

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var options = new DiskSetParent();
        var verb = new Verb(
            "set-parent", "Writes into a differencing image where its parent is now; the parent must be the same one",
            "godwit disk set-parent web_1.avhdx /srv/base/base.vhdx")
        {
            options._path, options._parent,
        };
        options._chain.AddTo(verb);
        verb.AddJson("Write what was done as JSON");
        verb.Does(shell, global, options.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var path = session.Shell.AbsolutePath(session.Get(_path));
        var parent = session.Shell.AbsolutePath(session.Get(_parent));
        await ChildImage.SetParentAsync(path, parent, _chain.Read(session), cancellationToken);
        if (!session.TryWriteJson(new DiskParentReport(path, parent, 0), JsonText.Own.DiskParentReport))
            session.Talk.Say($"{path} looks for its parent at {parent} now");
        return ExitCode.Ok;
    }
}
