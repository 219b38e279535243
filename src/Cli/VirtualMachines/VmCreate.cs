using System.CommandLine;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm create</summary>
internal sealed class VmCreate
{
    private readonly Argument<string> _name = VmCommands.NameArgument();
    private readonly VmSettingsOptions _settings = new();
    private readonly Option<DiskSpec[]> _disks;
    private readonly Option<string?> _path = new("--path")
    {
        Description = "Make the VM's folder (configuration, saved state) in this one; else where godwitd keeps VMs",
        HelpName = "DIR",
    };

    private readonly Option<int> _generation = new("--generation")
    {
        Description = "1: the guest starts from a BIOS; 2: from UEFI, and its drives are on SCSI. Never changes",
        HelpName = "1|2",
        DefaultValueFactory = _ => 1,
    };

    private readonly Option<DvdDriveSpec[]> _dvds;

    private VmCreate(Shell shell)
    {
        _dvds = Dvds(shell);
        _disks = new Option<DiskSpec[]>("--disk")
        {
            Description = "A disk: PATH[,size=SIZE][,format=vhdx|vhdx-fixed|vhd|vhd-fixed|raw][,cache=none|writethrough|writeback]"
                + "[,controller=ide|scsi|virtio[,number=N][,location=N]]; with size it is created. Repeatable; "
                + "a comma in PATH is written twice",
            HelpName = "SPEC",
            Arity = ArgumentArity.OneOrMore,
            CustomParser = result =>
            {
                var specs = new List<DiskSpec>();
                foreach (var token in result.Tokens)
                {
                    if (DiskSpecText.TryParse(token.Value, shell.AbsolutePath, out var spec, out var error))
                        specs.Add(spec!);
                    else
                        result.AddError($"--disk {token.Value}: {error}");
                }

                return [.. specs];
            },
        };
    }

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var options = new VmCreate(shell);
        var verb = new Verb(
            "create", "Creates a VM and the disks that do not exist yet; it is not started",
            "godwit vm create web --memory 2G --cpus 2 --disk /srv/vms/web.vhdx,size=40G")
        {
            options._name, options._generation, options._disks, options._dvds, options._path,
        };
        options._settings.AddTo(verb);
        verb.AddJson("Write the new VM as JSON");
        verb.Does(shell, global, options.RunAsync);
        return verb;
    }

    private static Option<DvdDriveSpec[]> Dvds(Shell shell) => new("--dvd")
    {
        Description = "A DVD drive: [FILE][,controller=ide|scsi[,number=N][,location=N]] with an ISO image in it, or empty (''). Repeatable",
        HelpName = "SPEC",
        Arity = ArgumentArity.OneOrMore,
        CustomParser = result =>
        {
            var specs = new List<DvdDriveSpec>();
            foreach (var token in result.Tokens)
            {
                if (DvdSpecText.Read(token.Value, shell.AbsolutePath, out var error) is { } spec)
                    specs.Add(spec);
                else
                    result.AddError($"--dvd {token.Value}: {error}");
            }

            return [.. specs];
        },
    };

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var settings = _settings.Read(session).Apply(new VirtualMachineSettings());
        if (settings.Kernel is null && (settings.Initrd ?? settings.Append) is not null)
            throw new UsageException("--initrd and --append belong to a direct boot: give --kernel too");
        var spec = new VirtualMachineSpec(
            session.Get(_name), settings, session.Get(_disks) ?? [], session.GetPath(_path), session.Get(_generation),
            session.Get(_dvds) is { Length: > 0 } dvds ? dvds : null);
        var vm = await session.Client.CreateVirtualMachineAsync(spec, cancellationToken);
        if (!session.TryWriteJson(vm, JsonText.Api.VirtualMachine))
            session.Talk.Say($"created VM {vm.Name}; start it with: godwit vm start {Quoting.ForShell(vm.Name)}");
        return ExitCode.Ok;
    }
}
