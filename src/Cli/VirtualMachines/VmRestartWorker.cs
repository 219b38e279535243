namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm restart-worker</summary>
internal static class VmRestartWorker
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var name = VmCommands.NameArgument();
        var verb = new Verb(
            "restart-worker", "Restarts the disk worker of a running VM, after an upgrade say; the guest waits some milliseconds",
            "godwit vm restart-worker web")
        {
            name,
        };
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var vm = await session.Client.RestartWorkerAsync(session.Get(name), cancellationToken);
            session.Talk.Say($"VM {vm.Name} has a new disk worker (process {vm.WorkerProcessId})");
            return ExitCode.Ok;
        });
        return verb;
    }
}
