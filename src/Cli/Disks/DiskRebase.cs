using System.CommandLine;
using Godwit.Cli.Text;
using Godwit.Storage.Operations;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk rebase</summary>
internal sealed class DiskRebase
{
    private readonly Argument<string> _path = DiskCommands.PathArgument("PATH", "The differencing image");
    private readonly Argument<string> _parent = DiskCommands.PathArgument("PARENT", "Its new parent");
    private readonly ChainArguments _chain = new();

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var options = new DiskRebase();
        var verb = new Verb(
            "rebase", "Gives a differencing image another parent; what it reads as stays the same",
            "godwit disk rebase web_2.avhdx base-2026.vhdx")
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
        session.AfterCancel = "the image reads as before, and the same command begins again";
        var path = session.Shell.AbsolutePath(session.Get(_path));
        var parent = session.Shell.AbsolutePath(session.Get(_parent));
        var written = await new ChainRebase(path, parent, _chain.Read(session)).RunAsync(
            new OperationMeter(session).Show, cancellationToken);
        session.Talk.EndProgress();
        if (!session.TryWriteJson(new DiskParentReport(path, parent, written), JsonText.Own.DiskParentReport))
            session.Talk.Say($"{path} has {parent} as its parent now; {ByteSize.Format(written)} were written into it");
        return ExitCode.Ok;
    }
}
