using System.Globalization;
using Godwit.Api.VirtualMachines;
using Godwit.Cli.Jobs;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm list</summary>
internal static class VmList
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var verb = new Verb("list", "Lists the VMs of the host", "godwit vm list --json");
        verb.AddJson("Write an array of VMs as JSON");
        verb.Does(shell, global, RunAsync);
        return verb;
    }

    private static async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var vms = await session.Client.ListVirtualMachinesAsync(cancellationToken);
        if (session.TryWriteJson(vms, JsonText.Api.IReadOnlyListVirtualMachine))
            return ExitCode.Ok;
        if (vms.Count == 0)
        {
            session.Talk.Say("no VMs yet; make one with: godwit vm create");
            return ExitCode.Ok;
        }

        var table = new Table(session.Paint, "NAME", "STATE", ">CPUS", ">MEMORY", ">DISKS", "JOB");
        foreach (var vm in vms)
            table.AddColoured(VmStates.Colour(vm.State, session.Paint), Row(vm));
        table.Write(session.Shell.Out);
        return ExitCode.Ok;
    }

    private static string[] Row(VirtualMachine vm) =>
    [
        vm.Name, vm.State.ToString(), vm.Settings.Cpus.ToString(CultureInfo.InvariantCulture), ByteSize.Format(vm.Settings.Memory),
        vm.Disks.Count.ToString(CultureInfo.InvariantCulture), vm.JobId is Guid job ? JobIds.Short(job) : "",
    ];
}
