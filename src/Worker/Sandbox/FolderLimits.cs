using Godwit.Api;
using Godwit.Api.Workers;

namespace Godwit.Worker.Sandbox;

/// <summary>How far landlock holds a worker.</summary>
/// <param name="Version">The version of landlock in force, 0 for none.</param>
/// <param name="Everywhere">Disks may be anywhere, so files are not limited to folders.</param>
/// <param name="Problem">Why it could not be put in force, where the kernel has it.</param>
/// <param name="Links">The worker may connect to other hosts, on the ports the host allows.</param>
internal sealed record FolderLimits(int Version, bool Everywhere, string? Problem = null, bool Links = false)
{
    /// <summary>Limits the calling thread and whatever it starts from now on.</summary>
    /// <param name="folders">The worker's own folders.</param>
    /// <param name="disks">Where disks may be.</param>
    internal static FolderLimits Apply(WorkerFolders folders, ParentFolders? disks)
    {
        var everywhere = disks is not { Roots.Count: > 0 };
        var ports = disks?.LinkPorts ?? [];
        var version = Landlock.Version();
        if (version == 0)
            return new FolderLimits(0, everywhere, Links: ports.Count > 0);
        try
        {
            Landlock.Restrict(version, WorkerPlaces.Of(folders, disks), ports, everywhere);
            return new FolderLimits(version, everywhere, Links: ports.Count > 0);
        }
        catch (GodwitException e)
        {
            return new FolderLimits(0, everywhere, e.Problem.Title, ports.Count > 0);
        }
    }

    /// <summary>What is missing of the limits there should be.</summary>
    internal IEnumerable<string> Gaps()
    {
        if (Version == 0)
        {
            yield return Problem ?? "the kernel has no landlock: the worker reaches every file its user reaches";
            yield break;
        }

        if (Everywhere)
            yield return "the host allows disks in every folder (--allow-root narrows that): files are not limited to folders";
        if (Version < 3 && !Everywhere)
            yield return $"landlock {Version} does not cover cutting a file short, which the kernel allows everywhere";
        if (Version < 4 && Links)
            yield return $"landlock {Version} does not cover TCP: the worker may connect to every port, not only to those of other hosts' disks";
        if (Version < 5)
            yield return $"landlock {Version} does not cover requests to devices; the system call filter does";
        if (Version < 6)
            yield return $"landlock {Version} does not cover signals; the system call filter does";
    }
}
