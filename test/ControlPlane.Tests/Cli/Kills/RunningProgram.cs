using System.Diagnostics;
using Godwit.ControlPlane.Tests.Interop;

namespace Godwit.ControlPlane.Tests.Cli.Kills;

/// <summary>The built godwit at work, to be killed or interrupted there. Ends it when disposed.</summary>
internal sealed class RunningProgram : IDisposable
{
    private const int Killed = 128 + 9;
    private readonly Process _process;
    private readonly TaskCompletionSource<string> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task<string> _out;
    private readonly Task<string> _error;

    private RunningProgram(Process process)
    {
        _process = process;
        _out = ReadOutAsync();
        _error = process.StandardError.ReadToEndAsync();
    }

    /// <summary>The program: the published one when GODWIT_PROGRAMS says where, else the one built with the tests.</summary>
    public static string Path => System.IO.Path.Combine(Environment.GetEnvironmentVariable("GODWIT_PROGRAMS") ?? AppContext.BaseDirectory, "godwit");

    /// <summary>Completes when it has ended, however it did.</summary>
    public Task Ended => _process.WaitForExitAsync();

    /// <summary>Starts it in a folder.</summary>
    public static RunningProgram Start(string folder, IEnumerable<string> words) => new(Process.Start(new ProcessStartInfo(Path, words)
    {
        WorkingDirectory = folder,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    })!);

    /// <summary>The first line it writes; "" when it ends without one.</summary>
    public Task<string> FirstLineAsync() => _first.Task;

    /// <summary>Kills it.</summary>
    /// <returns>It was still at work: it ended by this and not by itself.</returns>
    public async Task<bool> KillAsync()
    {
        _process.Kill();
        await Ended;
        return _process.ExitCode == Killed;
    }

    /// <summary>The process.</summary>
    public int Id => _process.Id;

    /// <summary>Sends it what ^C sends, and waits for its end.</summary>
    public Task<CliResult> InterruptAsync()
    {
        if (!_process.HasExited)
            _ = LibC.Kill(_process.Id, LibC.Interrupt);
        return EndAsync();
    }

    /// <summary>Waits for its end.</summary>
    public async Task<CliResult> EndAsync()
    {
        await Ended;
        return new CliResult(_process.ExitCode, await _out, await _error);
    }

    private async Task<string> ReadOutAsync()
    {
        var first = await _process.StandardOutput.ReadLineAsync();
        _first.SetResult(first ?? "");
        return first is null ? "" : $"{first}\n{await _process.StandardOutput.ReadToEndAsync()}";
    }

    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill();
        _process.Dispose();
    }
}
