using System.Diagnostics;
using Godwit.Api;

namespace Godwit.Host.Workers;

/// <summary>Runs the worker's program to its end.</summary>
/// <param name="path">The program.</param>
internal sealed class WorkerProgram(string path)
{
    /// <summary>How it ended and what it printed.</summary>
    internal sealed record Result(int ExitCode, string Output, string Error);

    /// <summary>Runs it without a shell. It ends or lets go of its streams (as a supervisor does) within the limit, or is killed.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unavailable"/>: not there, or it took too long.</exception>
    public async Task<Result?> RunAsync(IReadOnlyList<string> arguments, bool detaches, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(path)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }
        using var process = Start(start);
        process.StandardInput.Close();
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            var error = process.StandardError.ReadToEndAsync(cancellationToken);
            await Task.WhenAll(output, error);
            if (detaches && !process.WaitForExit(TimeSpan.FromMilliseconds(50)))
            {
                return null;
            }
            await process.WaitForExitAsync(cancellationToken);
            return new Result(process.ExitCode, await output, await error);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }
    }

    private Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new GodwitException(
                new Problem(ErrorCode.Unavailable, $"'{path}' cannot be started: {e.Message}", "Install godwit-worker beside godwitd."), e);
        }
    }
}
