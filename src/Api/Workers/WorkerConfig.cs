using Godwit.Api.Disks;

namespace Godwit.Api.Workers;

/// <summary>
/// What a worker serves, written by the host as <c>worker.json</c> into the VM's folder before the worker first starts.
/// From then on only the worker changes the file (paths change when a mirror is switched), each time by writing a new
/// file, flushing it and renaming it into place.
/// </summary>
/// <param name="VmId">The VM whose disks these are.</param>
/// <param name="Disks">The disks and, for each, the mirror in progress.</param>
/// <param name="Generation">Of the disks, as the VM's record counts: a host with a higher one writes the file anew, while no worker runs.</param>
public sealed record WorkerConfig(Guid VmId, IReadOnlyList<WorkerDiskConfig> Disks, long Generation = 0);

/// <summary>One disk of a <see cref="WorkerConfig"/>.</summary>
/// <param name="Disk">The disk as served.</param>
/// <param name="Mirror">The mirror in progress or just switched, or null.</param>
/// <param name="Limits">How much it may be used, or null for any.</param>
/// <param name="Points">Points in time since which its changes are marked, oldest first, or null for none.</param>
/// <param name="Leased">It is served only while there is a valid lease; a worker that starts waits for one.</param>
/// <param name="Layer">The image that was put on top last, or null for none.</param>
/// <param name="NewLayer">The image that is being put on top, or null; a worker that starts removes it.</param>
/// <param name="Merge">The merge in progress or just ended, or null.</param>
public sealed record WorkerDiskConfig(
    WorkerDisk Disk, WorkerMirrorConfig? Mirror = null, DiskLimitSpec? Limits = null, IReadOnlyList<WorkerPointConfig>? Points = null, bool Leased = false,
    AddedLayer? Layer = null, WorkerNewLayerConfig? NewLayer = null, WorkerMergeConfig? Merge = null);

/// <summary>An image on its way onto a disk, as the worker remembers it across its own death.</summary>
/// <param name="JobId">The job that asked for it.</param>
/// <param name="Path">Where the file is to be.</param>
/// <param name="UnfinishedPath">Where it is at first; carries the job's id, so it can be ours only.</param>
/// <param name="File">The file once it exists: after a crash it is found again under either name.</param>
public sealed record WorkerNewLayerConfig(Guid JobId, string Path, string UnfinishedPath, FileIdentity? File = null);

/// <summary>A merge as the worker remembers it across its own death.</summary>
/// <param name="JobId">The job that asked for it.</param>
/// <param name="Path">The layer that is merged.</param>
/// <param name="Target">Its parent, which takes it in.</param>
/// <param name="Above">The layer above it, which gets the target as its parent; null for the layer that is written to, for which its parent then stands.</param>
/// <param name="File">The merged layer's file, so that nothing else is ever deleted in its place.</param>
/// <param name="BytesPerSecond">Upper limit of the copy's rate, or null for none.</param>
/// <param name="State">How far it is.</param>
/// <param name="CopiedTo">Everything before this offset of the disk is in the target and survives a power cut; 0 for the layer that is written to.</param>
/// <param name="Failure">Why it failed for good, or null while it has not.</param>
public sealed record WorkerMergeConfig(
    Guid JobId, string Path, string Target, string? Above, FileIdentity File, long? BytesPerSecond, MergeState State, long CopiedTo = 0, Problem? Failure = null);

/// <summary>A point as the worker remembers it across its own death.</summary>
/// <param name="Id">Part of its file's name; the one who asked for it chose it.</param>
/// <param name="Name">What people call it.</param>
/// <param name="Taken">When it was taken.</param>
/// <param name="Lost">Why everything counts as changed, or null while the marks are good.</param>
public sealed record WorkerPointConfig(Guid Id, string Name, DateTimeOffset Taken, string? Lost = null);

/// <summary>A mirror as the worker remembers it across its own death.</summary>
/// <param name="JobId">The job that asked for it.</param>
/// <param name="TargetPath">Where the file is to be in the end.</param>
/// <param name="UnfinishedPath">Where it is until the switch; carries the job's id, so it can be ours only.</param>
/// <param name="BytesPerSecond">Upper limit of the copy's rate, or null for none.</param>
/// <param name="SwitchedFrom">After the switch: the old source file, until it is forgotten.</param>
/// <param name="BootId">The kernel's boot id when the bitmap was started: after a reboot the bitmap proves nothing.</param>
/// <param name="TargetFile">The unfinished file once it exists: after a crash it is found again under either name.</param>
/// <param name="SourceFile">After the switch: the old source, so that nothing else is ever deleted in its place.</param>
/// <param name="CreatedFolder">The topmost folder that was made for the target, or null; removed again on cancel if empty.</param>
/// <param name="Cancelled">Cancel was accepted; what is left of it is done again after a crash.</param>
/// <param name="Failure">Why the mirror failed for good, or null while it has not.</param>
/// <param name="Remote">The target on another host, or null for a file here.</param>
/// <param name="Epoch">For a target on another host: above every epoch its links have used.</param>
public sealed record WorkerMirrorConfig(
    Guid JobId,
    string TargetPath,
    string UnfinishedPath,
    long? BytesPerSecond,
    string? SwitchedFrom,
    string BootId,
    FileIdentity? TargetFile = null,
    FileIdentity? SourceFile = null,
    string? CreatedFolder = null,
    bool Cancelled = false,
    Problem? Failure = null,
    RemoteTarget? Remote = null,
    long Epoch = 0);
