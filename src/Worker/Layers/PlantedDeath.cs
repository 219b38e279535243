using System.Diagnostics;

namespace Godwit.Worker.Layers;

/// <summary>Lets a test see what a worker leaves that dies at a certain step.</summary>
internal static class PlantedDeath
{
    /// <summary>Set by tests only: the worker then looks for the file <c>die-at</c> in its folder, and at the step named there removes it and kills itself.</summary>
    internal const string Variable = "GODWIT_TEST_DEATHS";

    /// <summary>The file's name.</summary>
    internal const string FileName = "die-at";

    private static readonly bool Wanted = Environment.GetEnvironmentVariable(Variable) is not null;

    /// <summary>A step has been reached.</summary>
    internal static void At(WorkerFolders folders, string step)
    {
        var file = Path.Combine(folders.Config, FileName);
        if (!Wanted || !File.Exists(file) || File.ReadAllText(file).Trim() != step)
            return;
        File.Delete(file);
        using var own = Process.GetCurrentProcess();
        own.Kill();
    }
}
