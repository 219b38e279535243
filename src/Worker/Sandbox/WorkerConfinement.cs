using Godwit.Api.Workers;
using Godwit.Worker.Logging;

namespace Godwit.Worker.Sandbox;

/// <summary>What a worker gives up before it opens an image that a guest has written.</summary>
internal static class WorkerConfinement
{
    /// <summary>Puts the system call filter in front of this process and says what now holds.</summary>
    /// <param name="limits">What landlock holds already.</param>
    /// <param name="log">Told about everything that is missing.</param>
    internal static WorkerSandbox Complete(FolderLimits limits, EventLog log)
    {
        List<string> gaps = [.. limits.Gaps()];
        var refused = CallFilter.Apply(limits.Links);
        if (refused is not null)
            gaps.Add(refused);
        foreach (var gap in gaps)
            log.Warn($"sandbox: {gap}");
        var sandbox = new WorkerSandbox(limits.Version > 0 && !limits.Everywhere, limits.Version, refused is null, gaps);
        log.Note($"sandbox: files {(sandbox.FoldersLimited ? "limited to the host's folders" : "not limited to folders")}, landlock "
            + $"{sandbox.LandlockVersion}, system calls {(sandbox.CallsLimited ? "limited" : "not limited")}");
        return sandbox;
    }
}
