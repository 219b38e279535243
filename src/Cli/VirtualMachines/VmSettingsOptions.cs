using System.CommandLine;
using Godwit.Api.VirtualMachines;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>The options by which settings are given, the same for "create" and "set".</summary>
internal sealed class VmSettingsOptions
{
    private readonly Option<long?> _memory = SizeOption.Create("--memory", "Guest memory (512M for a new VM when not given)");
    private readonly Option<int?> _cpus = Number("--cpus", "Virtual processors (1 for a new VM when not given)", "COUNT", 1);
    private readonly Option<bool?> _compatible = new("--compatible-cpu")
    {
        Description = "Show the guest only processor features that all hosts have, so that it can move between different ones (true or false)",
        HelpName = "BOOL",
    };

    private readonly Option<string?> _kernel = Text("--kernel", "Kernel for direct boot (else the guest boots from its first disk)", "FILE");
    private readonly Option<string?> _initrd = Text("--initrd", "Initial RAM disk for direct boot", "FILE");
    private readonly Option<string?> _append = Text("--append", "Kernel command line for direct boot", "TEXT");
    private readonly Option<string?> _serial = Text("--serial", "File that receives what the guest prints on its first serial port", "FILE");
    private readonly Option<NetworkAdapter[]> _networks = Networks();
    private readonly Option<bool> _noNetwork = new("--no-network") { Description = "No network adapter" };
    private readonly Option<StartAction?> _start = Choice<StartAction>("--automatic-start", "When the host has started");
    private readonly Option<int?> _startDelay = Number("--automatic-start-delay", "Wait before that", "SECONDS", 0);
    private readonly Option<StopAction?> _stop = Choice<StopAction>("--automatic-stop", "When the host shuts down");
    private readonly Option<CriticalErrorAction?> _critical = Choice<CriticalErrorAction>(
        "--critical-error-action", "When a disk cannot be reached the VM is paused; none: as long as it takes, pause: then turned off");

    private readonly Option<int?> _criticalTimeout = Number(
        "--critical-error-timeout", "Minutes a VM waits for its disk before it is turned off", "MINUTES", 1);

    private readonly Option<CheckpointType?> _checkpoint = Choice<CheckpointType>("--checkpoint-type", "What a checkpoint keeps when nobody says");
    private readonly Option<string?> _notes = Text("--notes", "Whatever you want to remember", "TEXT");

    private readonly Option<string?> _bootOrder = Text(
        "--boot-order", "Drives to boot from first, as disk0,dvd0; the others follow, disks before DVD drives. '' for no order", "NAMES");

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Verb verb)
    {
        Option[] all =
        [
            _memory, _cpus, _compatible, _kernel, _initrd, _append, _serial, _networks, _noNetwork, _start, _startDelay, _stop, _critical, _criticalTimeout, _notes,
            _checkpoint, _bootOrder,
        ];
        foreach (var option in all)
            verb.Add(option);
    }

    /// <summary>What was asked for.</summary>
    public SettingsChange Read(Session session)
    {
        var networks = session.Get(_networks) is { Length: > 0 } given ? given : null;
        if (session.Get(_noNetwork) && networks is not null)
            throw new UsageException("--network and --no-network exclude each other");
        return Read(session, session.Get(_noNetwork) ? [] : networks);
    }

    private SettingsChange Read(Session session, IReadOnlyList<NetworkAdapter>? networks) => new(
        session.Get(_memory), session.Get(_cpus), session.Get(_compatible), File(session, _kernel), File(session, _initrd),
        session.Get(_append), File(session, _serial), networks, session.Get(_start), session.Get(_startDelay), session.Get(_stop),
        session.Get(_critical), session.Get(_criticalTimeout), session.Get(_notes), session.Get(_checkpoint), Names(session.Get(_bootOrder)));

    private static string[]? Names(string? list) => list?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    // An empty text takes the file away; made absolute it would be the working folder.
    private static string? File(Session session, Option<string?> option) => session.Get(option) is "" ? "" : session.GetPath(option);

    private static Option<NetworkAdapter[]> Networks() => new("--network")
    {
        Description = "A network adapter: SWITCH[,mac=ADDRESS]; the switch \"nat\" is always there. Repeatable",
        HelpName = "SPEC",
        Arity = ArgumentArity.OneOrMore,
        CustomParser = result =>
        {
            var adapters = new List<NetworkAdapter>();
            foreach (var token in result.Tokens)
            {
                if (NetworkText.TryParse(token.Value, out var adapter) is { } error)
                    result.AddError($"--network {token.Value}: {error}");
                adapters.Add(adapter);
            }

            return [.. adapters];
        },
    };

    private static Option<string?> Text(string name, string description, string value) => new(name) { Description = description, HelpName = value };

    private static Option<int?> Number(string name, string description, string value, int least)
    {
        var option = new Option<int?>(name) { Description = description, HelpName = value };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, out var count) && count < least)
                result.AddError($"{name}: at least {least}");
        });
        return option;
    }

    private static Option<T?> Choice<T>(string name, string description)
        where T : struct, Enum => new(name)
        {
            Description = $"{description}: {Kebab.List<T>()}",
            HelpName = "WORD",
            CustomParser = result =>
            {
                if (Kebab.Parse<T>(result.Tokens[0].Value) is { } choice)
                    return choice;
                result.AddError($"{name}: {Kebab.List<T>()} are possible");
                return null;
            },
        };
}
