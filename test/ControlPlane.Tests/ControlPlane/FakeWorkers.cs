using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>
/// Disk workers in memory, with the rules of the worker protocol. Every answered status moves a copy on by a step, so a
/// job's course depends on what it asks and not on time. It outlives the daemon under test.
/// </summary>
internal sealed class FakeWorkers(FakeFolders folders) : IDiskWorkers
{
    public const long Allocated = 300;

    /// <summary>What every disk has done.</summary>
    public static DiskStatistics Statistics { get; } = new(
        new OperationStatistics(10, 40960, 0, 2_000_000, [new LatencyStep(102_400, 9), new LatencyStep(1_310_720, 1)]),
        new OperationStatistics(3, 1024, 1, 3_000_000, [new LatencyStep(1_310_720, 3)]),
        new OperationStatistics(0, 0, 0, 0, []),
        new OperationStatistics(0, 0, 0, 0, []));

    private readonly Lock _gate = new();
    private readonly Dictionary<Guid, FakeWorker> _workers = [];

    /// <summary>Called before (false) and after (true) a request acts; may throw, or never come back.</summary>
    public Func<WorkerRequest, bool, Task> Around { get; set; } = (_, _) => Task.CompletedTask;

    /// <summary>Names of disks whose target fails when the copy is half way.</summary>
    public HashSet<string> FailingTargets { get; } = [];

    /// <summary>Names of disks whose switch is refused.</summary>
    public HashSet<string> RefusedSwitches { get; } = [];

    /// <summary>No cut is made.</summary>
    public bool RefusedCuts { get; set; }

    /// <summary>Names of disks whose merges fail.</summary>
    public HashSet<string> FailingMerges { get; } = [];

    /// <summary>Workers cannot be started.</summary>
    public bool CannotStart { get; set; }

    public List<string> Trace { get; } = [];

    public FakeWorker? Find(Guid vm)
    {
        lock (_gate)
            return _workers.GetValueOrDefault(vm);
    }

    /// <summary>The configuration stays when worker and supervisor are killed.</summary>
    public void Kill(Guid vm) => Find(vm)!.Running = false;

    /// <summary>The supervisor starts another worker process.</summary>
    public void Restart(Guid vm)
    {
        var worker = Find(vm)!;
        worker.ProcessId++;
        worker.Restarts++;
    }

    public Task EnsureAsync(VirtualMachineRecord vm, CancellationToken cancellationToken)
    {
        if (CannotStart)
            throw new GodwitException(ErrorCode.Unavailable, "The worker cannot be started.");
        lock (_gate)
        {
            if (!_workers.TryGetValue(vm.Id, out var worker))
                _workers[vm.Id] = worker = new FakeWorker([]) { Generation = -1 };
            if (!worker.Running && worker.Generation < vm.DiskGeneration)
            {
                // As the host writes worker.json anew.
                worker.Disks.Clear();
                worker.Disks.AddRange(vm.Disks.Select(disk => new FakeDisk(disk.Name, disk.Path)));
                worker.Disks.ForEach(disk => disk.Chain.Open(folders));
                worker.Generation = vm.DiskGeneration;
            }
            if (!worker.Running)
            {
                worker.Running = true;
                worker.ProcessId++;
            }
        }
        return Task.CompletedTask;
    }

    public Task<bool> IsSupervisedAsync(Guid vm, CancellationToken cancellationToken) => Task.FromResult(Find(vm)?.Running == true);

    public async Task<WorkerReply> AskAsync(Guid vm, WorkerRequest request, CancellationToken cancellationToken)
    {
        await Around(request, false);
        cancellationToken.ThrowIfCancellationRequested();
        WorkerReply reply;
        lock (_gate)
        {
            var worker = _workers.GetValueOrDefault(vm);
            if (worker is not { Running: true })
                throw new GodwitException(ErrorCode.Unavailable, "No worker answers.");
            if (request is not GetStatus)
                Trace.Add(request.GetType().Name);
            try
            {
                Act(worker, request);
                reply = new WorkerReply(worker.Status(), null);
            }
            catch (GodwitException e)
            {
                reply = new WorkerReply(null, e.Problem);
            }
        }
        await Around(request, true);
        return reply;
    }

    public async Task<WorkerStatus> RestartAsync(VirtualMachineRecord vm, CancellationToken cancellationToken) =>
        (await AskAsync(vm.Id, new RestartWorker(), cancellationToken)).Status!;

    public Task StopAsync(Guid vm, CancellationToken cancellationToken)
    {
        if (Find(vm) is { } worker)
            worker.Running = false;
        return Task.CompletedTask;
    }

    private void Act(FakeWorker worker, WorkerRequest request)
    {
        switch (request)
        {
            case GetStatus:
                worker.Disks.ForEach(Advance);
                worker.Disks.ForEach(disk => disk.Chain.Advance(folders));
                break;
            case AddLayers add:
                if (RefusedCuts)
                    throw new GodwitException(ErrorCode.Busy, "requests do not end");
                foreach (var layer in add.Layers)
                    worker.Disk(layer.Disk).Chain.Add(folders, add.JobId, layer.Path);
                break;
            case MergeLayer merge:
                worker.Disk(merge.Disk).Chain.Start(merge, FailingMerges.Contains(merge.Disk));
                break;
            case CancelMerge cancel:
                worker.Disk(cancel.Disk).Chain.Cancel(cancel.JobId);
                break;
            case ForgetMerge forget:
                worker.Disk(forget.Disk).Chain.Forget(forget.JobId);
                break;
            case RestartWorker:
                worker.ProcessId++;
                worker.Restarts++;
                break;
            case LimitDisk limit:
                worker.Disk(limit.Disk).Limits = limit.Limits;
                break;
            case AddPoint add when worker.Disk(add.Disk).Points.Any(point => point.Name == add.Name):
                throw new GodwitException(ErrorCode.AlreadyExists, add.Name);
            case AddPoint add:
                worker.Disk(add.Disk).Points.Add(new DiskPoint(add.Name, DateTimeOffset.UnixEpoch, 4096));
                break;
            case RemovePoint remove:
                worker.Disk(remove.Disk).Points.RemoveAll(point => point.Name == remove.Name);
                break;
            case StartMirror start:
                StartMirror(worker.Disk(start.Disk), start);
                break;
            case SwitchMirror switched:
                Switch(worker.Disk(switched.Disk), switched.JobId);
                break;
            case CancelMirror cancel:
                Cancel(worker.Disk(cancel.Disk), cancel.JobId);
                break;
            case ForgetMirror forget:
                Forget(worker.Disk(forget.Disk), forget);
                break;
            default:
                throw new GodwitException(ErrorCode.Unsupported, request.ToString());
        }
    }

    private void StartMirror(FakeDisk disk, StartMirror start)
    {
        if (disk.Mirror is { } mirror)
        {
            if (mirror.Job != start.JobId)
                throw new GodwitException(ErrorCode.Busy, "another mirror");
            return;
        }
        if (folders.FileExists(start.TargetPath))
            throw new GodwitException(ErrorCode.AlreadyExists, start.TargetPath);
        var unfinished = $"{start.TargetPath}.{start.JobId.ToString("N")[..8]}.partial";
        if (!folders.FileExists(unfinished))
            folders.AddFile(unfinished);
        disk.Mirror = new FakeMirror(start.JobId, start.TargetPath, unfinished);
    }

    private void Advance(FakeDisk disk)
    {
        if (disk.Mirror is not { State: MirrorState.Copying or MirrorState.InSync } mirror)
            return;
        if (mirror.Copied < Allocated)
        {
            mirror.Copied += 100;
            if (mirror.Copied > 100 && FailingTargets.Contains(disk.Name))
                mirror.State = MirrorState.Failed;
            return;
        }
        if (mirror.State == MirrorState.Copying)
            mirror.State = MirrorState.InSync;
        else if (mirror.Verified < Allocated)
            mirror.Verified += 150;
        else
            mirror.State = MirrorState.Verified;
    }

    private void Switch(FakeDisk disk, Guid job)
    {
        if (disk.Path == disk.Mirror?.Target)
            return;
        if (RefusedSwitches.Contains(disk.Name))
            throw new GodwitException(ErrorCode.IoFailed, "the target is gone");
        if (disk.Mirror is not { State: MirrorState.Verified } mirror || mirror.Job != job)
            throw new GodwitException(ErrorCode.WrongState, "not verified");
        folders.Rename(mirror.Unfinished, mirror.Target);
        mirror.Source = disk.Path;
        disk.Path = mirror.Target;
        mirror.State = MirrorState.Switched;
    }

    private void Cancel(FakeDisk disk, Guid job)
    {
        if (disk.Mirror is not { } mirror || mirror.Job != job)
            return;
        if (mirror.State == MirrorState.Switched)
            throw new GodwitException(ErrorCode.WrongState, "switched");
        folders.DeleteFile(mirror.Unfinished);
        disk.Mirror = null;
    }

    private void Forget(FakeDisk disk, ForgetMirror forget)
    {
        if (disk.Mirror is not { } mirror || mirror.Job != forget.JobId)
            return;
        if (mirror.State != MirrorState.Switched)
            throw new GodwitException(ErrorCode.WrongState, "not switched");
        if (!forget.RetainSource)
            folders.DeleteFile(mirror.Source!);
        disk.Mirror = null;
    }
}

internal sealed class FakeWorker(List<FakeDisk> disks)
{
    public List<FakeDisk> Disks { get; } = disks;

    public bool Running { get; set; }

    public int ProcessId { get; set; } = 1000;

    public long Generation { get; set; }

    public int Restarts { get; set; }

    public FakeDisk Disk(string name) =>
        Disks.Find(disk => disk.Name == name) ?? throw new GodwitException(ErrorCode.NotFound, name);

    public WorkerStatus Status() => new(ProcessId, 1, Restarts, [.. Disks.Select(disk => disk.Status())]);
}

internal sealed class FakeDisk(string name, string path)
{
    public string Name { get; } = name;

    public FakeChain Chain { get; } = new(path);

    public string Path
    {
        get => Chain.Layers[0];
        set => Chain.Layers[0] = value;
    }

    public FakeMirror? Mirror { get; set; }

    public Problem? Problem { get; set; }

    public DiskLimitSpec? Limits { get; set; }

    public List<DiskPoint> Points { get; } = [];

    public IReadOnlyList<string>? Gaps { get; set; }

    public WorkerDiskStatus Status() => new(
        Name, Path, DiskFormat.VhdxDynamic, 1 << 30, FakeWorkers.Allocated, 1, Mirror?.Status(), Problem, FakeWorkers.Statistics, Limits,
        Points.Count == 0 ? null : [.. Points], Gaps, null, Problem is null ? [.. Chain.Layers] : null, Chain.Added, Chain.Merge);
}

internal sealed class FakeMirror(Guid job, string target, string unfinished)
{
    public Guid Job => job;

    public string Target => target;

    public string Unfinished => unfinished;

    public string? Source { get; set; }

    public MirrorState State { get; set; }

    public long Copied { get; set; }

    public long Verified { get; set; }

    public MirrorStatus Status() => new(
        Job, State, Target, Copied, FakeWorkers.Allocated - Copied, Verified, FakeWorkers.Allocated,
        State == MirrorState.Failed ? new Problem(ErrorCode.NoSpace, "The target is full.") : null);
}
