using System.CommandLine;
using Godwit.Api.VirtualMachines;
using Godwit.Cli.Jobs;
using Godwit.Cli.VirtualMachines;

namespace Godwit.Cli.Checkpoints;

/// <summary>godwit checkpoint apply</summary>
internal static class CheckpointApply
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var (vm, checkpoint, noWait) = (VmCommands.NameArgument(), CheckpointCommands.CheckpointArgument(), AcceptedJob.NoWaitOption());
        var force = new Option<bool>("--force") { Description = "Turn the VM off first when it runs; what it is now is lost" };
        var start = new Option<bool>("--start") { Description = "Start it afterwards: from the checkpoint's memory where there is one" };
        var verb = new Verb(
            "apply", "Makes a VM what it was at a checkpoint; what it is now is lost unless a checkpoint was taken of it",
            "godwit checkpoint apply web before --force --start")
        {
            vm, checkpoint, force, start, noWait,
        };
        verb.AddJson(AcceptedJob.JsonHelp);
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            if (session.Get(start) && session.Get(noWait))
                throw new UsageException("--start and --no-wait exclude each other");
            var job = await session.Client.ApplyCheckpointAsync(session.Get(vm), session.Get(checkpoint), new ApplyRequest(session.Get(force)), cancellationToken);
            var code = await AcceptedJob.RunAsync(session, job, noWait);
            if (code == ExitCode.Ok && session.Get(start))
            {
                await session.Client.StartVirtualMachineAsync(session.Get(vm), cancellationToken);
                session.Talk.Say($"VM {session.Get(vm)} runs");
            }

            return code;
        });
        return verb;
    }
}
