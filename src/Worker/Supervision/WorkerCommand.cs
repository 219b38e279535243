using System.Collections;
using System.Globalization;
using Godwit.Worker.Interop;
using Godwit.Worker.Layers;
using Godwit.Worker.Sandbox;

namespace Godwit.Worker.Supervision;

/// <summary>How the supervisor starts the worker: its own program in another mode.</summary>
internal static class WorkerCommand
{
    /// <summary>Through /proc it is the very file that runs, even if an upgrade has replaced the name.</summary>
    internal const string Program = OwnProgram.Running;

    /// <summary>Exit code of a worker that has drained and closed everything so that another can take its place (EX_TEMPFAIL).</summary>
    internal const int StartAgain = 75;

    /// <summary>The arguments, the program's name first.</summary>
    internal static IReadOnlyList<string> Serve(WorkerFolders folders, int nbd, int control, int supervisor, int restarts, FolderLimits limits)
    {
        var arguments = Start("serve", folders, limits);
        Add(arguments, "--nbd-descriptor", nbd);
        Add(arguments, "--control-descriptor", control);
        Add(arguments, "--supervisor", supervisor);
        Add(arguments, "--restarts", restarts);
        return arguments;
    }

    /// <summary>The arguments with which a supervisor becomes a newer program.</summary>
    internal static IReadOnlyList<string> Supervise(WorkerFolders folders, Inheritance inheritance)
    {
        var arguments = Named("supervise", folders);
        Add(arguments, "--lock-descriptor", inheritance.Lock);
        Add(arguments, "--nbd-descriptor", inheritance.Nbd);
        Add(arguments, "--control-descriptor", inheritance.Control);
        Add(arguments, "--restarts", inheritance.Restarts);
        return arguments;
    }

    /// <summary>The arguments of a process that tries what a worker must not do.</summary>
    internal static IReadOnlyList<string> TrySandbox(WorkerFolders folders, FolderLimits limits) => Start("sandbox", folders, limits);

    /// <summary>The few variables a worker may see: what started us may carry secrets in the others.</summary>
    internal static IReadOnlyList<string> Environment(WorkerFolders folders)
    {
        List<string> kept = [];
        foreach (DictionaryEntry entry in System.Environment.GetEnvironmentVariables())
        {
            if (entry.Key is string name && (name is "PATH" or "HOME" or "TZ" or "LANG" or KernelFeatures.Variable or PlantedDeath.Variable || name.StartsWith("DOTNET_", StringComparison.Ordinal)))
                kept.Add($"{name}={entry.Value}");
        }

        // Only in development, where the runtime would offer itself to debuggers through a socket in /tmp.
        kept.Add("DOTNET_EnableDiagnostics=0");

        // The runtime reads the computer's authorities before it speaks TLS. They count for nothing here, and the worker may not read them.
        kept.Add($"SSL_CERT_DIR={folders.Tls}");
        kept.Add($"SSL_CERT_FILE={Path.Combine(folders.Tls, "ca.pem")}");
        return kept;
    }

    private static List<string> Named(string command, WorkerFolders folders)
    {
        List<string> arguments = ["godwit-worker"];
        // Only in development: run as "dotnet godwit-worker.dll", the program is the runtime's host.
        if (Path.GetFileName(System.Environment.ProcessPath) == "dotnet")
            arguments.Add(Path.Combine(AppContext.BaseDirectory, "godwit-worker.dll"));
        arguments.AddRange([command, "--config", folders.Config, "--run", folders.Run]);
        return arguments;
    }

    private static List<string> Start(string command, WorkerFolders folders, FolderLimits limits)
    {
        var arguments = Named(command, folders);
        Add(arguments, "--landlock", limits.Version);
        if (limits.Everywhere)
            arguments.Add("--disks-anywhere");
        if (limits.Links)
            arguments.Add("--links");
        if (limits.Problem is { } problem)
            arguments.AddRange(["--unlimited-because", problem]);
        return arguments;
    }

    private static void Add(List<string> arguments, string name, int value)
    {
        arguments.Add(name);
        arguments.Add(value.ToString(CultureInfo.InvariantCulture));
    }
}
