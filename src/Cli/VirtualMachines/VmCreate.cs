using System.CommandLine;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm create</summary>
internal sealed class VmCreate
{
    private const long DefaultMemory = 512L << 20;
    private readonly Argument<string> _name = VmCommands.NameArgument();
    private readonly Option<long?> _memory = SizeOption.Create("--memory", "Guest memory (512M when not given)");
    private readonly Option<int> _cpus = new("--cpus")
    {
        Description = "Virtual processors",
        HelpName = "COUNT",
        DefaultValueFactory = _ => 1,
    };
    private readonly Option<DiskSpec[]> _disks;
    private readonly Option<string?> _kernel = new("--kernel")
    {
        Description = "Kernel for direct boot (else the guest boots from its first disk)",
        HelpName = "FILE",
    };
    private readonly Option<string?> _initrd = new("--initrd")
    {
        Description = "Initial RAM disk for direct boot",
        HelpName = "FILE",
    };
    private readonly Option<string?> _append = new("--append")
    {
        Description = "Kernel command line for direct boot",
        HelpName = "TEXT",
    };
    private readonly Option<string?> _serial = new("--serial")
    {
        Description = "File that receives what the guest prints on its first serial port",
        HelpName = "FILE",
    };

    private VmCreate(Shell shell)
    {
        _disks = new Option<DiskSpec[]>("--disk")
        {
            Description = "A disk: PATH[,size=SIZE][,format=vhdx|vhdx-fixed|vhd|vhd-fixed|raw][,cache=none|writethrough|writeback]; with size it is created. Repeatable; "
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
        _cpus.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, out var count) && count < 1)
                result.AddError("--cpus: at least 1");
        });
    }

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var options = new VmCreate(shell);
        var verb = new Verb(
            "create", "Creates a VM and the disks that do not exist yet; it is not started",
            "godwit vm create web --memory 2G --cpus 2 --disk /srv/vms/web.vhdx,size=40G")
        {
            options._name, options._memory, options._cpus, options._disks, options._kernel, options._initrd, options._append,
            options._serial,
        };
        verb.AddJson("Write the new VM as JSON");
        verb.Does(shell, global, options.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        if (session.Get(_kernel) is null && (session.Get(_initrd) ?? session.Get(_append)) is not null)
            throw new UsageException("--initrd and --append belong to a direct boot: give --kernel too");
        var spec = new VirtualMachineSpec(
            session.Get(_name), session.Get(_memory) ?? DefaultMemory, session.Get(_cpus), session.Get(_disks) ?? [],
            session.GetPath(_kernel), session.GetPath(_initrd), session.Get(_append), session.GetPath(_serial));
        var vm = await session.Client.CreateVirtualMachineAsync(spec, cancellationToken);
        if (!session.TryWriteJson(vm, JsonText.Api.VirtualMachine))
            session.Talk.Say($"created VM {vm.Name}; start it with: godwit vm start {Quoting.ForShell(vm.Name)}");
        return ExitCode.Ok;
    }
}
