using System.CommandLine;
using Godwit.Api.VirtualMachines;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm start and godwit vm stop</summary>
internal static class VmPower
{
    /// <summary>Makes "start".</summary>
    public static Verb CreateStart(Shell shell, GlobalOptions global)
    {
        var name = VmCommands.NameArgument();
        var verb = new Verb("start", "Starts a VM and waits until it runs", "godwit vm start web") { name };
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var vm = await session.Client.StartVirtualMachineAsync(session.Get(name), cancellationToken);
            var slow = vm.AcceleratorReason is null ? "" : $" ({vm.Accelerator}: {vm.AcceleratorReason})";
            session.Talk.Say($"VM {vm.Name} runs{slow}");
            return ExitCode.Ok;
        });
        return verb;
    }

    /// <summary>Makes "stop".</summary>
    public static Verb CreateStop(Shell shell, GlobalOptions global)
    {
        var name = VmCommands.NameArgument();
        var turnOff = new Option<bool>("--turn-off")
        {
            Description = "Switch it off at once instead of asking the guest to shut down",
        };
        var timeout = new Option<int>("--timeout")
        {
            Description = "Seconds the guest may take; then the command fails and the VM goes on",
            HelpName = "SECONDS",
            DefaultValueFactory = _ => new StopRequest().TimeoutSeconds,
        };
        var verb = new Verb(
            "stop", "Asks the guest to shut down and waits until it has",
            "godwit vm stop web --timeout 60")
        {
            name, turnOff, timeout,
        };
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            if (session.Get(timeout) < 1)
                throw new UsageException("--timeout: at least 1 second");
            var request = new StopRequest(session.Get(turnOff), session.Get(timeout));
            var vm = await session.Client.StopVirtualMachineAsync(session.Get(name), request, cancellationToken);
            session.Talk.Say($"VM {vm.Name} is off");
            return ExitCode.Ok;
        });
        return verb;
    }
}
