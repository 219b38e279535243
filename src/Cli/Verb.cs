using System.CommandLine;
using Godwit.Api;

namespace Godwit.Cli;

/// <summary>A command that does something, with the example that its help shows.</summary>
/// <param name="name">As typed.</param>
/// <param name="description">What it does, in a sentence.</param>
/// <param name="example">A command line that works.</param>
internal sealed class Verb(string name, string description, string example) : Command(name, description)
{
    /// <summary>A command line that works.</summary>
    public string Example { get; } = example;

    /// <summary>The command's --json, or null when it has none.</summary>
    public Option<bool>? Json { get; private set; }

    /// <summary>Gives the command --json.</summary>
    /// <param name="description">What is written then.</param>
    public void AddJson(string description) => Add(Json = new Option<bool>("--json") { Description = description });

    /// <summary>Says what the command does.</summary>
    /// <param name="shell">Where it runs.</param>
    /// <param name="global">The options every command takes.</param>
    /// <param name="run">Does it; its token is cancelled by the first ^C.</param>
    public void Does(Shell shell, GlobalOptions global, Func<Session, CancellationToken, Task<int>> run) =>
        SetAction(async (parsed, _) =>
        {
            using var session = new Session(shell, parsed, global, Json);
            return await RunAsync(session, run);
        });

    /// <summary>The words that lead to a command: "godwit vm list".</summary>
    public static string PathOf(Command command)
    {
        // The root takes its own name from the process, which a link or a test may have renamed.
        var parent = command.Parents.OfType<Command>().FirstOrDefault();
        return parent is null ? "godwit" : $"{PathOf(parent)} {command.Name}";
    }

    private async Task<int> RunAsync(Session session, Func<Session, CancellationToken, Task<int>> run)
    {
        try
        {
            return await run(session, session.Shell.Interrupts.First);
        }
        catch (UsageException e)
        {
            session.Talk.FailUsage(e.Message, $"{PathOf(this)} --help");
            return ExitCode.Usage;
        }
        catch (OperationCanceledException) when (session.Shell.Interrupts.First.IsCancellationRequested)
        {
            session.Talk.EndProgress();
            session.Talk.Say(session.AfterCancel is string left ? $"cancelled; {left}" : "cancelled");
            return ExitCode.Cancelled;
        }
        catch (Exception e) when (Failure.TryDescribe(e) is Problem problem)
        {
            session.Talk.EndProgress();
            session.Talk.Fail(problem);
            return Failure.ExitCodeFor(problem.Code);
        }
    }
}
