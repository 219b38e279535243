using System.Diagnostics;

namespace Godwit.Testing.Hosts;

/// <summary>Runs programs for tests: no shell, bounded in time, output captured.</summary>
public static class ChildProgram
{
    /// <summary>Runs a program to its end; kills it when the token is cancelled.</summary>
    public static async Task<CommandResult> RunAsync(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment, CancellationToken cancellationToken)
    {
        using var process = Start(program, arguments, environment, redirect: true);
        var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
        var error = process.StandardError.ReadToEndAsync(cancellationToken);
        try
        {
            await process.WaitForExitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }

        return new CommandResult(Words(process), process.ExitCode, await output, await error);
    }

    /// <summary>Runs a program on this terminal.</summary>
    public static async Task<int> RunAttachedAsync(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment, CancellationToken cancellationToken)
    {
        using var process = Start(program, arguments, environment, redirect: false);
        await process.WaitForExitAsync(cancellationToken);
        return process.ExitCode;
    }

    /// <summary>Starts a program and leaves it running.</summary>
    public static Process Start(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment, bool redirect)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = redirect, RedirectStandardError = redirect };
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        return Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
    }

    private static string Words(Process process) =>
        string.Join(' ', process.StartInfo.ArgumentList.Prepend(Path.GetFileName(process.StartInfo.FileName)));
}
