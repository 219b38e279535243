using System.Text.Json.Serialization;
using Godwit.Api.Disks;

namespace Godwit.Api.Workers;

/// <summary>
/// What a host can ask of a worker: one JSON object per line over the control socket, answered by one
/// <see cref="WorkerReply"/> line, in order. Every request may be repeated: what is already so stays so.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "command")]
[JsonDerivedType(typeof(GetStatus), "status")]
[JsonDerivedType(typeof(StartMirror), "mirror-start")]
[JsonDerivedType(typeof(StartRemoteMirror), "mirror-start-remote")]
[JsonDerivedType(typeof(SwitchMirror), "mirror-switch")]
[JsonDerivedType(typeof(CancelMirror), "mirror-cancel")]
[JsonDerivedType(typeof(LimitMirror), "mirror-limit")]
[JsonDerivedType(typeof(ForgetMirror), "mirror-forget")]
[JsonDerivedType(typeof(LimitDisk), "disk-limit")]
[JsonDerivedType(typeof(AddPoint), "point-add")]
[JsonDerivedType(typeof(RemovePoint), "point-remove")]
[JsonDerivedType(typeof(StopWorker), "stop")]
[JsonDerivedType(typeof(RestartWorker), "restart")]
[JsonDerivedType(typeof(RenewLease), "lease-renew")]
[JsonDerivedType(typeof(HoldDisks), "lease-hold")]
[JsonDerivedType(typeof(RevokeLease), "lease-revoke")]
[JsonDerivedType(typeof(AddLayers), "layers-add")]
[JsonDerivedType(typeof(MergeLayer), "layer-merge")]
[JsonDerivedType(typeof(LimitMerge), "layer-merge-limit")]
[JsonDerivedType(typeof(CancelMerge), "layer-merge-cancel")]
[JsonDerivedType(typeof(ForgetMerge), "layer-merge-forget")]
public abstract record WorkerRequest;

/// <summary>Answers with the status and changes nothing.</summary>
public sealed record GetStatus : WorkerRequest;

/// <summary>Creates a target file beside the final name and starts copying. Repeated for the same job: continues.</summary>
/// <param name="Disk">Name of the export.</param>
/// <param name="JobId">The job that asks; its id is part of the unfinished target's name.</param>
/// <param name="TargetPath">Where the file is to be in the end; must not exist.</param>
/// <param name="BytesPerSecond">Upper limit of the copy's rate, or null for none.</param>
public sealed record StartMirror(string Disk, Guid JobId, string TargetPath, long? BytesPerSecond) : WorkerRequest;

/// <summary>Starts copying to an export of another host, which is copied to again by itself after the link, the worker or the other host was
/// away. Repeated for the same job: changes nothing. Such a mirror is not switched: it is handed over by a migration, or cancelled.</summary>
/// <param name="Disk">Name of the export.</param>
/// <param name="JobId">The job that asks.</param>
/// <param name="Target">Where to.</param>
/// <param name="BytesPerSecond">Upper limit of the copy's rate, or null for none.</param>
public sealed record StartRemoteMirror(string Disk, Guid JobId, RemoteTarget Target, long? BytesPerSecond) : WorkerRequest;

/// <summary>Makes the target serve the guest: the commit point of a storage move. Refused unless the mirror is verified;
/// answers as before when already switched.</summary>
/// <param name="Disk">Name of the export.</param>
/// <param name="JobId">The job that started the mirror.</param>
public sealed record SwitchMirror(string Disk, Guid JobId) : WorkerRequest;

/// <summary>Ends the mirror and deletes the unfinished target; the source goes on. Refused once switched.</summary>
/// <param name="Disk">Name of the export.</param>
/// <param name="JobId">The job that started the mirror.</param>
public sealed record CancelMirror(string Disk, Guid JobId) : WorkerRequest;

/// <summary>Changes the copy's rate limit.</summary>
/// <param name="Disk">Name of the export.</param>
/// <param name="JobId">The job that started the mirror.</param>
/// <param name="BytesPerSecond">The new limit, or null for none.</param>
public sealed record LimitMirror(string Disk, Guid JobId, long? BytesPerSecond) : WorkerRequest;

/// <summary>After a switch: forgets the old source, deleting its file unless it is to be kept.</summary>
/// <param name="Disk">Name of the export.</param>
/// <param name="JobId">The job that started the mirror.</param>
/// <param name="RetainSource">Keep the old source file.</param>
public sealed record ForgetMirror(string Disk, Guid JobId, bool RetainSource) : WorkerRequest;

/// <summary>Limits how much a disk may be used; holds at once, and in later workers too.</summary>
/// <param name="Disk">Name of the export.</param>
/// <param name="Limits">The limits.</param>
public sealed record LimitDisk(string Disk, DiskLimitSpec Limits) : WorkerRequest;

/// <summary>Marks what changes on a disk from here on. Refused when another point has the name.</summary>
/// <param name="Disk">Name of the export.</param>
/// <param name="Id">Tells a request that is repeated from another one.</param>
/// <param name="Name">What the point is called.</param>
public sealed record AddPoint(string Disk, Guid Id, string Name) : WorkerRequest;

/// <summary>Forgets a point.</summary>
/// <param name="Disk">Name of the export.</param>
/// <param name="Name">What the point is called.</param>
public sealed record RemovePoint(string Disk, string Name) : WorkerRequest;

/// <summary>Flushes and closes every disk, then ends worker and supervisor.</summary>
public sealed record StopWorker : WorkerRequest;

/// <summary>Answers what has come in, flushes and closes every disk and ends the worker, so that the supervisor starts another: from the
/// program that is installed by then. The sockets stay. Refused by a worker that has lost its supervisor.</summary>
public sealed record RestartWorker : WorkerRequest;

/// <summary>Says that this computer owns the VM's disks, and until when. From the first one on, this worker and its successors serve only while a lease
/// is valid: what comes later waits for the next.</summary>
/// <param name="Generation">The generation of the ownership record; never falls.</param>
/// <param name="Milliseconds">How long from now, above zero.</param>
public sealed record RenewLease(long Generation, long Milliseconds) : WorkerRequest;

/// <summary>Holds all requests of the guest until the next lease; answers when none is under way.</summary>
public sealed record HoldDisks : WorkerRequest;

/// <summary>Fails all requests of the guest from now on, in this worker.</summary>
/// <param name="Reason">Why, in words.</param>
public sealed record RevokeLease(string Reason) : WorkerRequest;

/// <summary>Puts a new image on top of each of some disks, all at one instant: what had been answered before it is below, whatever comes later goes into the
/// new images. All of them or none. Requests wait meanwhile. Repeated for the same job: changes nothing.</summary>
/// <param name="JobId">The job that asks; its id is part of the unfinished files' names.</param>
/// <param name="Layers">The new images, at most one per disk.</param>
public sealed record AddLayers(Guid JobId, IReadOnlyList<NewLayer> Layers) : WorkerRequest;

/// <summary>A new image on top of a disk.</summary>
/// <param name="Disk">Name of the export.</param>
/// <param name="Path">The file, absolute; must not exist, its folder must. <c>.avhdx</c> over a VHDX, <c>.avhd</c> over a VHD.</param>
public sealed record NewLayer(string Disk, string Path);

/// <summary>Starts merging a layer into its parent, while the guest runs; the file goes in the end. When it is the layer that is written to, the disk is its
/// parent afterwards. Repeated for the same job: changes nothing, or tries again what could not be finished.</summary>
/// <param name="JobId">The job that asks.</param>
/// <param name="Disk">Name of the export.</param>
/// <param name="Path">The layer, as the status names it.</param>
/// <param name="BytesPerSecond">Upper limit of the copy's rate, or null for none.</param>
public sealed record MergeLayer(Guid JobId, string Disk, string Path, long? BytesPerSecond = null) : WorkerRequest;

/// <summary>Changes the rate limit of a merge.</summary>
/// <param name="Disk">Name of the export.</param>
/// <param name="JobId">The job that started it.</param>
/// <param name="BytesPerSecond">The new limit, or null for none.</param>
public sealed record LimitMerge(string Disk, Guid JobId, long? BytesPerSecond) : WorkerRequest;

/// <summary>Ends a merge; the chain stays as it was. Refused once everything is copied. Without a merge of that job it is already so.</summary>
/// <param name="Disk">Name of the export.</param>
/// <param name="JobId">The job that started it.</param>
public sealed record CancelMerge(string Disk, Guid JobId) : WorkerRequest;

/// <summary>Forgets a merge that has ended, well or not.</summary>
/// <param name="Disk">Name of the export.</param>
/// <param name="JobId">The job that started it.</param>
public sealed record ForgetMerge(string Disk, Guid JobId) : WorkerRequest;

/// <summary>The answer to a request: the status after it, or a problem.</summary>
/// <param name="Status">The status after the request was carried out; null when it was refused.</param>
/// <param name="Problem">Why the request was refused.</param>
public sealed record WorkerReply(WorkerStatus? Status, Problem? Problem);
