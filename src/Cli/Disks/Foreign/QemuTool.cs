using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using Godwit.Api;

namespace Godwit.Cli.Disks.Foreign;

/// <summary>One run of a program of QEMU's: no shell, its words kept for the message when it fails, killed when disposed.</summary>
internal sealed class QemuTool : IDisposable
{
    private const int KeptCharacters = 2000;

    // .NET tells a process that a signal has ended as the shell does.
    private const int SignalBase = 128;

    private readonly Process _process;
    private readonly string _program;
    private readonly StringBuilder _words = new();
    private readonly Task _reading;

    private QemuTool(Process process, string program)
    {
        _process = process;
        _program = program;
        _reading = KeepWordsAsync();
    }

    /// <summary>What it prints on its standard output.</summary>
    public StreamReader Output => _process.StandardOutput;

    /// <summary>It has ended.</summary>
    public bool HasEnded => _process.HasExited;

    /// <summary>Starts one.</summary>
    /// <param name="program">Its name, looked for in PATH.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unsupported"/>: it is not installed.</exception>
    public static QemuTool Start(string program, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            var process = Process.Start(start)!;
            process.StandardInput.Close();
            return new QemuTool(process, program);
        }
        catch (Win32Exception e)
        {
            throw new GodwitException(
                ErrorCode.Unsupported,
                $"{program} reads and writes qcow2 and VMDK for godwit, and cannot be started: {e.Message}",
                "install it: package qemu-utils (Debian, Ubuntu), qemu-img (Fedora, RHEL) or qemu-tools (SUSE)");
        }
    }

    /// <summary>Waits for its end.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.IoFailed"/>: it failed, with what it said.</exception>
    public async Task FinishAsync(CancellationToken cancellationToken)
    {
        await _process.WaitForExitAsync(cancellationToken);
        await _reading.WaitAsync(cancellationToken);
        if (_process.ExitCode != 0)
            throw await FailedAsync(cancellationToken);
    }

    /// <summary>Waits a while for its end.</summary>
    /// <returns>It has ended.</returns>
    public async Task<bool> EndsWithinAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        var ended = _process.WaitForExitAsync(cancellationToken);
        return await Task.WhenAny(ended, Task.Delay(limit, cancellationToken)) == ended && ended.IsCompletedSuccessfully;
    }

    /// <summary>What it failed with.</summary>
    public async Task<GodwitException> FailedAsync(CancellationToken cancellationToken)
    {
        // ^C reaches every program of the terminal: this one may be gone before our own signal has arrived.
        await Task.Delay(TimeSpan.FromMilliseconds(200), cancellationToken);
        string words;
        lock (_words)
            words = _words.ToString().Trim().ReplaceLineEndings(" | ");
        if (words.Length == 0)
            words = _process.ExitCode > SignalBase ? $"it was ended by signal {_process.ExitCode - SignalBase}" : $"exit code {_process.ExitCode}";
        return new GodwitException(ErrorCode.IoFailed, $"{_program} failed: {words}", "see what it says");
    }

    /// <summary>Ends it at once.</summary>
    public void Kill()
    {
        try
        {
            if (!_process.HasExited)
                _process.Kill();
        }
        catch (InvalidOperationException)
        {
            // Ended between the two.
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    private async Task KeepWordsAsync()
    {
        var buffer = new char[512];
        while (true)
        {
            var count = await _process.StandardError.ReadAsync(buffer);
            if (count == 0)
                return;
            lock (_words)
                _words.Append(buffer, 0, Math.Min(count, Math.Max(0, KeptCharacters - _words.Length)));
        }
    }
}
