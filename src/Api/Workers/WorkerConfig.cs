namespace Godwit.Api.Workers;

/// <summary>
/// What a worker serves, written by the host as <c>worker.json</c> into the VM's folder before the worker first starts.
/// From then on only the worker changes the file (paths change when a mirror is switched), each time by writing a new
/// file, flushing it and renaming it into place.
/// </summary>
/// <param name="VmId">The VM whose disks these are.</param>
/// <param name="Disks">The disks and, for each, the mirror in progress.</param>
public sealed record WorkerConfig(Guid VmId, IReadOnlyList<WorkerDiskConfig> Disks);

/// <summary>One disk of a <see cref="WorkerConfig"/>.</summary>
/// <param name="Disk">The disk as served.</param>
/// <param name="Mirror">The mirror in progress or just switched, or null.</param>
public sealed record WorkerDiskConfig(WorkerDisk Disk, WorkerMirrorConfig? Mirror = null);

/// <summary>A mirror as the worker remembers it across its own death.</summary>
/// <param name="JobId">The job that asked for it.</param>
/// <param name="TargetPath">Where the file is to be in the end.</param>
/// <param name="UnfinishedPath">Where it is until the switch; carries the job's id, so it can be ours only.</param>
/// <param name="BytesPerSecond">Upper limit of the copy's rate, or null for none.</param>
/// <param name="SwitchedFrom">After the switch: the old source file, until it is forgotten.</param>
/// <param name="BootId">The kernel's boot id when the bitmap was started: after a reboot the bitmap proves nothing.</param>
public sealed record WorkerMirrorConfig(
    Guid JobId, string TargetPath, string UnfinishedPath, long? BytesPerSecond, string? SwitchedFrom, string BootId);
