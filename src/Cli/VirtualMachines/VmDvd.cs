using System.CommandLine;
using Godwit.Api.Disks;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm dvd</summary>
internal static class VmDvd
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var name = VmCommands.NameArgument();
        var drive = new Option<string>("--drive") { Description = "Name of the drive", HelpName = "NAME", DefaultValueFactory = _ => "dvd0" };
        var insert = new Option<string?>("--insert") { Description = "Put this ISO image into it, in the place of what is in it", HelpName = "FILE" };
        var eject = new Option<bool>("--eject") { Description = "Take out what is in it, whether or not the guest has locked the drive" };
        var verb = new Verb("dvd", "Puts a disc into a DVD drive of a VM, running or off, or takes it out", "godwit vm dvd web --insert /srv/iso/debian.iso")
        {
            name, drive, insert, eject,
        };
        verb.AddJson("Write the VM as JSON");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var path = session.Get(insert) is "" ? "" : session.GetPath(insert);
            if ((path is null) != session.Get(eject) || path is "")
                throw new UsageException("give either --insert FILE or --eject");
            var vm = await session.Client.SetDvdMediumAsync(session.Get(name), session.Get(drive)!, new DvdMedium(path), cancellationToken);
            if (!session.TryWriteJson(vm, JsonText.Api.VirtualMachine))
                session.Talk.Say(path is null ? $"{session.Get(drive)} of VM {vm.Name} is empty" : $"{session.Get(drive)} of VM {vm.Name} has {path}");
            return ExitCode.Ok;
        });
        return verb;
    }
}
