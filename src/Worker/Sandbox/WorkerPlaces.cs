using System.Runtime.InteropServices;
using Godwit.Api.Workers;
using Godwit.Worker.Supervision;

namespace Godwit.Worker.Sandbox;

/// <summary>The places a worker reaches, with what it may do there.</summary>
internal static class WorkerPlaces
{
    // What the runtime and the C library read: libraries, processor topology, memory limits, randomness. Of other processes /proc shows
    // names only: landlock forbids whatever needs the right to trace them.
    private static readonly string[] System =
        ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/proc", "/sys/fs/cgroup", "/sys/devices/system", "/dev/urandom"];

    /// <summary>Lists them.</summary>
    /// <param name="folders">The worker's own folders.</param>
    /// <param name="disks">Where disks may be; null or without roots: anywhere.</param>
    internal static IEnumerable<(string Path, ulong Rights)> Of(WorkerFolders folders, ParentFolders? disks)
    {
        foreach (var path in System)
            yield return (path, FolderRights.Reading);
        // By this name it is the file that runs, even after an upgrade has put another one in its place.
        yield return (WorkerCommand.Program, FolderRights.Reading);
        yield return ("/dev/null", FolderRights.ReadFile | FolderRights.WriteFile);
        yield return (folders.Config, FolderRights.Disks);
        yield return (folders.Run, FolderRights.Disks | FolderRights.MakeSocket);
        foreach (var root in disks?.Roots ?? [])
            yield return (root, FolderRights.Disks);
        // Only in development: the program's and the runtime's assemblies. Compiled ahead of time there is no such folder.
        var runtime = RuntimeEnvironment.GetRuntimeDirectory();
        if (!runtime.Contains("Microsoft.NETCore.App", StringComparison.Ordinal))
            yield break;
        yield return (AppContext.BaseDirectory, FolderRights.Reading);
        yield return (Path.GetFullPath(Path.Combine(runtime, "../../..")), FolderRights.Reading);
        yield return ("/etc/dotnet", FolderRights.Reading);
    }
}
