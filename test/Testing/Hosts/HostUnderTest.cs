using System.Diagnostics;
using System.Text.Json;

namespace Godwit.Testing.Hosts;

/// <summary>
/// A Godwit host of its own: the shipped programs over a temporary folder. Ends everything it started, and only that,
/// found by the folder's unique name in the command lines.
/// </summary>
public sealed class HostUnderTest : IAsyncDisposable
{
    private readonly string _programs;
    private readonly Dictionary<string, string> _environment;
    private Process? _daemon;

    private HostUnderTest(string programs, string folder)
    {
        _programs = programs;
        Folder = folder;
        _environment = new Dictionary<string, string> { ["GODWIT_HOST"] = $"unix:{Path.Combine(RunFolder, "godwitd.sock")}" };
    }

    /// <summary>The temporary folder everything is in; disks belong here too.</summary>
    public string Folder { get; }

    /// <summary>Database and VM folders.</summary>
    public string StateFolder => Path.Combine(Folder, "state");

    /// <summary>Sockets.</summary>
    public string RunFolder => Path.Combine(Folder, "run");

    /// <summary>What godwitd logged.</summary>
    public string Log => Path.Combine(Folder, "godwitd.log");

    /// <summary>The folder of the programs built by `./dev build`; GODWIT_PROGRAMS, else out/bin of the checkout.</summary>
    public static string DefaultPrograms => Environment.GetEnvironmentVariable("GODWIT_PROGRAMS") ?? Path.Combine(Checkout.Root, "out", "bin");

    /// <summary>Starts a host in a new folder.</summary>
    public static async Task<HostUnderTest> StartAsync(string programs, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("godwit-").FullName;
        var host = new HostUnderTest(Path.GetFullPath(programs), folder);
        try
        {
            await host.StartDaemonAsync(cancellationToken);
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }

        return host;
    }

    /// <summary>Starts godwitd (again) over the same folder and waits until it answers.</summary>
    public async Task StartDaemonAsync(CancellationToken cancellationToken)
    {
        string[] arguments = ["--state", StateFolder, "--run", RunFolder, "--allow-root", Folder];
        _daemon = ChildProgram.Start(Path.Combine(_programs, "godwitd"), arguments, _environment, redirect: true);
        _ = CopyAsync(_daemon.StandardOutput);
        _ = CopyAsync(_daemon.StandardError);
        var started = Stopwatch.StartNew();
        while ((await GodwitAsync(["host", "show", "--json"], cancellationToken)).ExitCode != 0)
        {
            if (_daemon.HasExited || started.Elapsed > TimeSpan.FromSeconds(30))
                throw new InvalidOperationException($"godwitd did not come up; its log:\n{ReadLog()}");
            await Task.Delay(100, cancellationToken);
        }
    }

    /// <summary>Kills godwitd with SIGKILL: no clean-up of any kind.</summary>
    public async Task KillDaemonAsync(CancellationToken cancellationToken)
    {
        if (_daemon is null)
            return;
        _daemon.Kill();
        await _daemon.WaitForExitAsync(cancellationToken);
        _daemon.Dispose();
        _daemon = null;
    }

    /// <summary>Runs `godwit` with its output captured.</summary>
    public Task<CommandResult> GodwitAsync(IEnumerable<string> arguments, CancellationToken cancellationToken) =>
        ChildProgram.RunAsync(Path.Combine(_programs, "godwit"), arguments, _environment, cancellationToken);

    /// <summary>Runs `godwit` on this terminal.</summary>
    public Task<int> GodwitAttachedAsync(IEnumerable<string> arguments, CancellationToken cancellationToken) =>
        ChildProgram.RunAttachedAsync(Path.Combine(_programs, "godwit"), arguments, _environment, cancellationToken);

    /// <summary>The VM as `godwit vm show --json` prints it.</summary>
    public async Task<JsonElement> ShowAsync(string name, CancellationToken cancellationToken) =>
        (await GodwitAsync(["vm", "show", name, "--json"], cancellationToken)).Json();

    /// <summary>What godwitd has logged so far.</summary>
    public string ReadLog() => File.Exists(Log) ? File.ReadAllText(Log) : "";

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await KillDaemonAsync(CancellationToken.None);
        // Twice: a supervisor may have been starting a worker while the first round went by.
        for (var round = 0; round < 2; round++)
        {
            foreach (var id in OwnProcesses())
                Kill(id);
        }

        Directory.Delete(Folder, recursive: true);
    }

    private static void Kill(int id)
    {
        try
        {
            using var process = Process.GetProcessById(id);
            process.Kill();
            process.WaitForExit(5000);
        }
        catch (ArgumentException)
        {
            // It ended by itself between being found and being killed.
        }
    }

    private List<int> OwnProcesses()
    {
        var found = new List<int>();
        foreach (var entry in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(entry), out var id) && id != Environment.ProcessId && CommandLine(entry).Contains(Folder, StringComparison.Ordinal))
                found.Add(id);
        }

        return found;
    }

    private static string CommandLine(string entry)
    {
        try
        {
            return File.ReadAllText(Path.Combine(entry, "cmdline"));
        }
        catch (IOException)
        {
            return "";
        }
    }

    private async Task CopyAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            lock (_environment)
                File.AppendAllText(Log, line + "\n");
        }
    }
}
