using Godwit.Cli.Text;

namespace Godwit.Cli.Hosts;

/// <summary>godwit host stop-vms</summary>
internal static class HostStopVms
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var verb = new Verb(
            "stop-vms", "Stops all VMs because the host goes down, each as its settings say: saved, shut down or turned off", "godwit host stop-vms");
        verb.AddJson("Write an array of what was done");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var stopped = await session.Client.StopAllVirtualMachinesAsync(cancellationToken);
            if (session.TryWriteJson(stopped, JsonText.Api.IReadOnlyListStoppedVirtualMachine))
                return ExitCode.Ok;
            foreach (var vm in stopped)
            {
                var instead = vm.Problem is { } problem ? $" instead of what its settings say: {problem.Title}" : "";
                session.Talk.Say($"VM {vm.Name}: {Kebab.Of(vm.Action)}{instead}");
            }

            return ExitCode.Ok;
        });
        return verb;
    }
}
