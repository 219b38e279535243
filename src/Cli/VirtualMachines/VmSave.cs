using Godwit.Cli.Jobs;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm save</summary>
internal static class VmSave
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var name = VmCommands.NameArgument();
        var noWait = AcceptedJob.NoWaitOption();
        var verb = new Verb(
            "save", "Writes the memory of a VM into a file and ends it; start goes on from there. ^C gives it up and the VM goes on",
            "godwit vm save web")
        {
            name, noWait,
        };
        verb.AddJson(AcceptedJob.JsonHelp);
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var job = await session.Client.SaveVirtualMachineAsync(session.Get(name), cancellationToken);
            return await AcceptedJob.RunAsync(session, job, noWait);
        });
        return verb;
    }
}
