using System.Diagnostics;
using Godwit.Storage;

namespace Godwit.Worker.Layers;

/// <summary>Lets a test see what becomes of disks when a worker dies, or something fails, at a certain step.</summary>
internal static class PlantedDeath
{
    /// <summary>Set by tests only: the worker then looks for the files below in its folder, and at the step that one of them names removes it and obeys.</summary>
    internal const string Variable = "GODWIT_TEST_DEATHS";

    /// <summary>At the step in this file the worker kills itself.</summary>
    internal const string DieAt = "die-at";

    /// <summary>The step in this file fails.</summary>
    internal const string FailAt = "fail-at";

    private static readonly bool Wanted = Environment.GetEnvironmentVariable(Variable) is not null;

    /// <summary>A step has been reached.</summary>
    /// <exception cref="StorageException">A test wants it to fail.</exception>
    internal static void At(WorkerFolders folders, string step)
    {
        if (!Wanted)
            return;
        if (Take(folders, DieAt, step))
        {
            using var own = Process.GetCurrentProcess();
            own.Kill();
        }

        if (Take(folders, FailAt, step))
            throw new StorageException(StorageErrorKind.IoFailed, $"a test wants {step} to fail");
    }

    private static bool Take(WorkerFolders folders, string name, string step)
    {
        var file = Path.Combine(folders.Config, name);
        if (!File.Exists(file) || File.ReadAllText(file) != step)
            return false;
        File.Delete(file);
        return true;
    }
}
