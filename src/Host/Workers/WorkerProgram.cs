using System.Diagnostics;
using Godwit.Api;

namespace Godwit.Host.Workers;

/// <summary>Runs the worker's program.</summary>
/// <param name="path">The program.</param>
/// <param name="time">The clock.</param>
internal sealed class WorkerProgram(string path, TimeProvider time)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(10);

    /// <summary>How it ended and what it printed.</summary>
    internal sealed record Result(int ExitCode, string Output, string Error);

    /// <summary>Runs it to its end, without a shell.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unavailable"/>: it cannot be started.</exception>
    public async Task<Result> RunAsync(IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        using var process = Start(arguments);
        try
        {
            return await EndAsync(process, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }
    }

    /// <summary>Starts it and leaves it running once it is ready; null then, else how it ended.</summary>
    /// <remarks>The end of its streams says nothing: a runtime may keep copies of them.</remarks>
    public async Task<Result?> StartAsync(
        IReadOnlyList<string> arguments, Func<CancellationToken, Task<bool>> isReady, CancellationToken cancellationToken)
    {
        using var process = Start(arguments);
        while (true)
        {
            if (process.HasExited)
            {
                return await EndAsync(process, cancellationToken);
            }
            if (await isReady(cancellationToken))
            {
                return null;
            }
            await Task.Delay(PollInterval, time, cancellationToken);
        }
    }

    private static async Task<Result> EndAsync(Process process, CancellationToken cancellationToken)
    {
        var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
        var error = process.StandardError.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        return new Result(process.ExitCode, await output, await error);
    }

    private Process Start(IReadOnlyList<string> arguments)
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
        var process = Start(start);
        process.StandardInput.Close();
        return process;
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
