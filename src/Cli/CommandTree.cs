using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Reflection;
using Godwit.Cli.Access;
using Godwit.Cli.Checkpoints;
using Godwit.Cli.Completion;
using Godwit.Cli.Disks;
using Godwit.Cli.Hosts;
using Godwit.Cli.Jobs;
using Godwit.Cli.VirtualMachines;

namespace Godwit.Cli;

/// <summary>The whole command line, and how one is carried out.</summary>
internal static class CommandTree
{
    // "@file" must stay what was typed: it is a legal start of a path. ^C is ours (Interrupts).
    private static readonly ParserConfiguration Parsing = new() { ResponseFileTokenReplacer = null };

    /// <summary>Makes the tree.</summary>
    public static RootCommand Create(Shell shell)
    {
        var global = new GlobalOptions();
        var root = new RootCommand("Moves virtual machines and their disks while they run")
        {
            global.Host,
            global.Authority,
            global.Quiet,
            VmCommands.Create(shell, global),
            CheckpointCommands.Create(shell, global),
            DiskCommands.Create(shell, global),
            JobCommands.Create(shell, global),
            HostCommands.Create(shell, global),
            TokenCommands.Create(shell, global),
            CompletionCommand.Create(shell, global),
        };
        // The built-in help also answers to "/h" and "/?", which are paths here.
        root.Options.Remove(root.Options.OfType<HelpOption>().Single());
        var help = new HelpOption("--help", "-h") { Description = "Show what a command does and how it is written" };
        help.Action = new HelpWithExample((HelpAction)help.Action!);
        root.Add(help);
        root.Options.OfType<VersionOption>().Single().Action = new VersionAction();
        return root;
    }

    /// <summary>Carries out one command line.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(Shell shell, IReadOnlyList<string> arguments)
    {
        var root = Create(shell);
        var parsed = root.Parse(arguments, Parsing);
        if (parsed.Action is ParseErrorAction || (parsed.Errors.Count > 0 && parsed.Action is null))
        {
            var help = $"{Verb.PathOf(parsed.CommandResult.Command)} --help";
            new Talk(shell, quiet: false).FailUsage(UsageErrors.Explain(parsed), help);
            return ExitCode.Usage;
        }

        return await parsed.InvokeAsync(new InvocationConfiguration
        {
            Output = shell.Out,
            Error = shell.Error,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null,
        });
    }

    private sealed class HelpWithExample(HelpAction inner) : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            var code = inner.Invoke(parseResult);
            if (parseResult.CommandResult.Command is Verb verb)
            {
                var writer = parseResult.InvocationConfiguration.Output;
                writer.WriteLine("Example:");
                writer.WriteLine($"  {verb.Example}");
                writer.WriteLine();
            }

            return code;
        }
    }

    private sealed class VersionAction : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            var version = typeof(CommandTree).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>();
            parseResult.InvocationConfiguration.Output.WriteLine($"godwit {version?.InformationalVersion}");
            return ExitCode.Ok;
        }
    }
}
