using System.CommandLine;
using Godwit.Api;
using Godwit.Api.VirtualMachines;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm pause, resume, reset, rename and discard-saved-state</summary>
internal static class VmControl
{
    private delegate Task<VirtualMachine> Act(GodwitClient client, string name, CancellationToken cancellationToken);

    /// <summary>Makes the verbs.</summary>
    public static IEnumerable<Verb> Create(Shell shell, GlobalOptions global)
    {
        yield return Simple(
            shell, global, "pause", "Stops the processors of a VM; its memory stays", "is paused",
            (client, name, token) => client.PauseVirtualMachineAsync(name, token));
        yield return Simple(
            shell, global, "resume", "Lets the processors of a paused VM run again", "runs",
            (client, name, token) => client.ResumeVirtualMachineAsync(name, token));
        yield return Simple(
            shell, global, "reset", "Presses the reset button: the guest boots again, what it had not written is lost", "boots again",
            (client, name, token) => client.ResetVirtualMachineAsync(name, token));
        yield return Simple(
            shell, global, "discard-saved-state", "Forgets a saved state: the VM is off, as if its plug had been pulled", "is off",
            (client, name, token) => client.DiscardSavedStateAsync(name, token));
        yield return Rename(shell, global);
    }

    private static Verb Simple(Shell shell, GlobalOptions global, string word, string description, string done, Act act)
    {
        var name = VmCommands.NameArgument();
        var verb = new Verb(word, description, $"godwit vm {word} web") { name };
        verb.AddJson("Write the VM as JSON");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var vm = await act(session.Client, session.Get(name), cancellationToken);
            if (!session.TryWriteJson(vm, Text.JsonText.Api.VirtualMachine))
                session.Talk.Say($"VM {vm.Name} {done}");
            return ExitCode.Ok;
        });
        return verb;
    }

    private static Verb Rename(Shell shell, GlobalOptions global)
    {
        var name = VmCommands.NameArgument();
        var newName = new Argument<string>("NEW-NAME") { Description = "Its new name" };
        var verb = new Verb("rename", "Gives a VM another name, running or not; its folder and files keep theirs", "godwit vm rename web www")
        {
            name, newName,
        };
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var vm = await session.Client.RenameVirtualMachineAsync(session.Get(name), session.Get(newName), cancellationToken);
            session.Talk.Say($"VM {session.Get(name)} is now {vm.Name}");
            return ExitCode.Ok;
        });
        return verb;
    }
}
