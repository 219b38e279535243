using System.CommandLine;
using Godwit.Cli.Jobs;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm save</summary>
internal static class VmSave
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var name = VmCommands.NameArgument();
        var noWait = new Option<bool>("--no-wait") { Description = "Write the job's id and return at once" };
        var verb = new Verb(
            "save", "Writes the memory of a VM into a file and ends it; start goes on from there. ^C gives it up and the VM goes on",
            "godwit vm save web")
        {
            name, noWait,
        };
        verb.AddJson("Write the job as it ended as JSON (with --no-wait: as accepted)");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var job = await session.Client.SaveVirtualMachineAsync(session.Get(name), cancellationToken);
            if (!session.Get(noWait))
                return await new JobFollower(session, InterruptMeaning.CancelsTheJob).RunAsync(job);
            if (!session.TryWriteJson(job, JsonText.Api.Job))
                session.Shell.Out.WriteLine(job.Id);
            session.Talk.Say($"the job goes on by itself; watch it with: godwit job watch {JobIds.Short(job.Id)}");
            return ExitCode.Ok;
        });
        return verb;
    }
}
