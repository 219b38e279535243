using Godwit.Api.VirtualMachines;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm set</summary>
internal static class VmSet
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var name = VmCommands.NameArgument();
        var settings = new VmSettingsOptions();
        var verb = new Verb(
            "set", "Changes settings of a VM; memory, processors and boot need one that is off. An empty text takes one away",
            "godwit vm set web --memory 4G --cpus 4")
        {
            name,
        };
        settings.AddTo(verb);
        verb.AddJson("Write the VM as JSON");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var change = settings.Read(session);
            if (change == new SettingsChange())
                throw new UsageException("nothing to change: give at least one option");
            var vm = await session.Client.SetVirtualMachineAsync(session.Get(name), change, cancellationToken);
            if (!session.TryWriteJson(vm, JsonText.Api.VirtualMachine))
                session.Talk.Say($"changed VM {vm.Name}");
            return ExitCode.Ok;
        });
        return verb;
    }
}
