using System.CommandLine;

namespace Godwit.Cli.VirtualMachines;

/// <summary>The commands of the noun "vm".</summary>
internal static class VmCommands
{
    /// <summary>Makes the noun with all its verbs.</summary>
    public static Command Create(Shell shell, GlobalOptions global)
    {
        var vm = new Command("vm", "Virtual machines")
        {
            VmCreate.Create(shell, global),
            VmList.Create(shell, global),
            VmShow.Create(shell, global),
            VmSet.Create(shell, global),
            VmDvd.Create(shell, global),
            VmTop.Create(shell, global),
            VmLimit.Create(shell, global),
            VmTrack.Create(shell, global),
            VmPower.CreateStart(shell, global),
            VmPower.CreateStop(shell, global),
            VmSave.Create(shell, global),
            VmRestartWorker.Create(shell, global),
            VmRemove.Create(shell, global),
            VmMoveStorage.Create(shell, global),
        };
        foreach (var verb in VmControl.Create(shell, global))
            vm.Add(verb);
        return vm;
    }

    /// <summary>The argument that names a VM.</summary>
    public static Argument<string> NameArgument() => new("NAME") { Description = "Name of the VM" };
}
