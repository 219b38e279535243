using System.Collections;
using System.Globalization;

namespace Godwit.Worker.Supervision;

/// <summary>How the supervisor starts the worker: its own program in another mode.</summary>
internal static class WorkerCommand
{
    /// <summary>Through /proc it is the very file that runs, even if an upgrade has replaced the name.</summary>
    internal const string Program = "/proc/self/exe";

    /// <summary>The arguments, the program's name first.</summary>
    internal static IReadOnlyList<string> Serve(WorkerFolders folders, int nbd, int control, int supervisor, int restarts)
    {
        List<string> arguments = ["godwit-worker"];
        // Only in development: run as "dotnet godwit-worker.dll", the program is the runtime's host.
        if (Path.GetFileName(System.Environment.ProcessPath) == "dotnet")
            arguments.Add(Path.Combine(AppContext.BaseDirectory, "godwit-worker.dll"));
        arguments.AddRange(["serve", "--config", folders.Config, "--run", folders.Run]);
        Add(arguments, "--nbd-descriptor", nbd);
        Add(arguments, "--control-descriptor", control);
        Add(arguments, "--supervisor", supervisor);
        Add(arguments, "--restarts", restarts);
        return arguments;
    }

    /// <summary>The few variables a worker may see: what started us may carry secrets in the others.</summary>
    internal static IReadOnlyList<string> Environment()
    {
        List<string> kept = [];
        foreach (DictionaryEntry entry in System.Environment.GetEnvironmentVariables())
        {
            if (entry.Key is string name && (name is "PATH" or "HOME" or "TZ" or "LANG" || name.StartsWith("DOTNET_", StringComparison.Ordinal)))
                kept.Add($"{name}={entry.Value}");
        }

        return kept;
    }

    private static void Add(List<string> arguments, string name, int value)
    {
        arguments.Add(name);
        arguments.Add(value.ToString(CultureInfo.InvariantCulture));
    }
}
