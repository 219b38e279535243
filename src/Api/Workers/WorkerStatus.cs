using Godwit.Api.Disks;

namespace Godwit.Api.Workers;

/// <summary>What a worker is serving.</summary>
/// <param name="ProcessId">The worker's process id.</param>
/// <param name="SupervisorProcessId">Its supervisor's process id, or null when it runs alone.</param>
/// <param name="Restarts">How often the supervisor has started a worker again.</param>
/// <param name="Disks">One entry per export.</param>
/// <param name="Sandbox">What holds the worker; null from a worker older than that.</param>
public sealed record WorkerStatus(
    int ProcessId, int? SupervisorProcessId, int Restarts, IReadOnlyList<WorkerDiskStatus> Disks, WorkerSandbox? Sandbox = null);

/// <summary>One disk of a worker.</summary>
/// <param name="Name">Name of the export.</param>
/// <param name="Path">The file that serves the guest now.</param>
/// <param name="Format">Its layout.</param>
/// <param name="Size">What the guest sees, in bytes.</param>
/// <param name="AllocatedBytes">Bytes the file occupies.</param>
/// <param name="Connections">NBD connections open now.</param>
/// <param name="Mirror">The mirror, while there is one or after it has ended and until it is forgotten.</param>
/// <param name="Problem">Why the disk cannot be served, if it cannot.</param>
/// <param name="Statistics">What it has done since this worker opened it; null before, and from workers of earlier versions.</param>
/// <param name="Limits">How much it may be used; null for any.</param>
/// <param name="Points">Points in time since which its changes are marked, oldest first; null for none.</param>
/// <param name="Gaps">What its file systems do not give, locks say, and what that means; null for nothing.</param>
/// <param name="Shortfall">It does not get the requests it was promised; null while it does, or wants less.</param>
/// <param name="Layers">The files of its chain, the one that is written to first; null before it is open, and from workers of earlier versions.</param>
/// <param name="Layer">The image that was put on top last; null for none.</param>
/// <param name="Merge">The merge of one of its layers, while there is one or after it has ended and until it is forgotten.</param>
public sealed record WorkerDiskStatus(
    string Name,
    string Path,
    DiskFormat Format,
    long Size,
    long AllocatedBytes,
    int Connections,
    MirrorStatus? Mirror,
    Problem? Problem,
    DiskStatistics? Statistics = null,
    DiskLimitSpec? Limits = null,
    IReadOnlyList<DiskPoint>? Points = null,
    IReadOnlyList<string>? Gaps = null,
    DiskShortfall? Shortfall = null,
    IReadOnlyList<string>? Layers = null,
    AddedLayer? Layer = null,
    MergeStatus? Merge = null);
