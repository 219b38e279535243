using System.CommandLine;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm remove</summary>
internal static class VmRemove
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var name = VmCommands.NameArgument();
        var deleteDisks = new Option<bool>("--delete-disks")
        {
            Description = "Delete its image files too; they cannot be brought back",
        };
        var force = new Option<bool>("--force") { Description = "Switch it off first when it runs" };
        var verb = new Verb(
            "remove", "Removes a VM from the host; its image files stay",
            "godwit vm remove web")
        {
            name, deleteDisks, force,
        };
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var (vm, delete) = (session.Get(name), session.Get(deleteDisks));
            await session.Client.RemoveVirtualMachineAsync(vm, delete, session.Get(force), cancellationToken);
            session.Talk.Say($"removed VM {vm}{(delete ? " and its disks" : "; its disks were left where they are")}");
            return ExitCode.Ok;
        });
        return verb;
    }
}
