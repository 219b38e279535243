using System.Net.Sockets;
using System.Runtime.InteropServices;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Nbd;
using Godwit.Worker.Control;
using Godwit.Worker.Interop;
using Godwit.Worker.Logging;
using Godwit.Worker.Sandbox;
using Godwit.Worker.Supervision;

namespace Godwit.Worker.Serving;

/// <summary>The worker itself: opens the disks, answers NBD and control requests, and ends when it is told to.</summary>
internal sealed class WorkerProcess : IDisposable
{
    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan CheckPeriod = TimeSpan.FromSeconds(1);
    private readonly WorkerOptions.Serve _options;
    private readonly TimeProvider _time;
    private readonly EventLog _log;
    private readonly DiskSet _disks;
    private readonly WorkerSandbox _sandbox;
    private readonly CancellationTokenSource _stopNbd = new();
    private readonly CancellationTokenSource _stopControl = new();
    private readonly TaskCompletionSource _stopRequested = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private Task _serving = Task.CompletedTask;
    private Task<bool>? _stopping;
    private volatile bool _ends;
    private volatile bool _startsAgain;

    private WorkerProcess(WorkerOptions.Serve options, TimeProvider time, EventLog log, DiskSet disks, WorkerSandbox sandbox)
    {
        _options = options;
        _time = time;
        _log = log;
        _disks = disks;
        _sandbox = sandbox;
    }

    /// <summary>Runs until stopped.</summary>
    /// <returns>The program's exit code: 0 tells the supervisor that this was meant.</returns>
    internal static async Task<int> RunAsync(WorkerOptions.Serve options, TimeProvider time)
    {
        var folders = options.Folders;
        var supervised = options.Supervisor is not null;
        var log = new EventLog(time, supervised ? new LogFile(folders.Log) : null);
        log.Hold();
        try
        {
            if (!supervised)
                folders.Prepare();
            // Before the first await: the threads of the pool inherit it, and what lives already is the runtime's own.
            var limits = options.Limits ?? FolderLimits.Apply(folders, ParentFoldersFile.Read(folders.ParentFoldersFile));
            using var only = await TakeLockAsync(folders.WorkerLock, time).ConfigureAwait(false);
            // One that lost its supervisor before it had the lock was not recorded yet: the next supervisor could not have ended it.
            if (supervised && !HasSupervisor(options))
                throw new GodwitException(ErrorCode.Unavailable, "the supervisor has died meanwhile");
            using var nbd = Listen(options.NbdDescriptor, folders.NbdSocket);
            using var control = Listen(options.ControlDescriptor, folders.ControlSocket);
            var config = WorkerConfigFile.Load(folders.ConfigFile);
            var parents = ParentFoldersFile.Load(folders.ParentFoldersFile);
            var bootId = (await File.ReadAllTextAsync("/proc/sys/kernel/random/boot_id").ConfigureAwait(false)).Trim();
            var sandbox = WorkerConfinement.Complete(limits, log);
            using var worker = new WorkerProcess(options, time, log, new DiskSet(config, folders, parents, bootId, time, log), sandbox);
            return await worker.ServeAsync(nbd, control).ConfigureAwait(false);
        }
        catch (GodwitException e)
        {
            log.Error($"worker cannot run: {e.Problem.Title}");
            return 1;
        }
        finally
        {
            log.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopNbd.Dispose();
        _stopControl.Dispose();
        _disks.Dispose();
    }

    private async Task<int> ServeAsync(Socket nbd, Socket control)
    {
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, _options.Supervisor is null ? Stop : Ignore);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, _options.Supervisor is null ? Stop : Ignore);
        await _disks.OpenAsync(CancellationToken.None).ConfigureAwait(false);
        var server = new NbdServer(_disks.Exports, new NbdServerOptions { Time = _time, OnProblem = _log.Warn });
        _serving = server.RunAsync(nbd, _stopNbd.Token);
        var controlling = new ControlServer(HandleAsync, _log).RunAsync(control, _stopControl.Token);
        var checking = CheckAsync();
        _log.Note($"worker {Environment.ProcessId} serves, start {_options.Restarts}");
        _log.Release();
        var first = await Task.WhenAny(_stopRequested.Task, _serving, controlling, checking).ConfigureAwait(false);
        // Asked of the flag, not of who came first: once a stop is asked for, the server's end may be seen before the wish for it.
        if (!_stopRequested.Task.IsCompleted)
        {
            // A listening socket or the loop itself is broken: leave it to a fresh process.
            _log.Error($"worker cannot go on: {first.Exception?.GetBaseException().Message ?? "a server ended by itself"}");
            return 1;
        }

        var clean = await StopAsync().ConfigureAwait(false);
        await _stopControl.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(controlling, checking).ConfigureAwait(false);
        _log.Note($"worker {Environment.ProcessId} stopped{(clean ? "" : ", not everything could be flushed")}");

        // Whoever wants an end gets it, also in the middle of a restart.
        return _startsAgain && !_ends ? WorkerCommand.StartAgain : 0;
    }

    private async Task<WorkerStatus> HandleAsync(WorkerRequest request)
    {
        if (request is StopWorker)
            return await HandleStopAsync().ConfigureAwait(false);
        if (request is RestartWorker)
            return await HandleRestartAsync().ConfigureAwait(false);
        await CarryOutAsync(request).ConfigureAwait(false);
        return Status();
    }

    private Task CarryOutAsync(WorkerRequest request) => request switch
    {
        StartMirror start => _disks.Find(start.Disk).MirrorAsync(mirror => mirror.StartAsync(start)),
        StartRemoteMirror start => _disks.Find(start.Disk).MirrorAsync(mirror => mirror.StartRemoteAsync(start)),
        SwitchMirror change => _disks.Find(change.Disk).MirrorAsync(mirror => mirror.SwitchAsync(change)),
        CancelMirror cancel => _disks.Find(cancel.Disk).MirrorAsync(mirror => mirror.CancelAsync(cancel)),
        LimitMirror limit => _disks.Find(limit.Disk).MirrorAsync(mirror => mirror.LimitAsync(limit)),
        ForgetMirror forget => _disks.Find(forget.Disk).MirrorAsync(mirror => mirror.ForgetAsync(forget)),
        LimitDisk limit => _disks.Find(limit.Disk).LimitAsync(limit.Limits),
        AddPoint add => _disks.Find(add.Disk).TrackAsync(points => points.AddAsync(add)),
        RemovePoint remove => _disks.Find(remove.Disk).TrackAsync(points => points.RemoveAsync(remove)),
        AddLayers add => _disks.AddLayersAsync(add),
        MergeLayer merge => _disks.Find(merge.Disk).MergeAsync(merging => merging.StartAsync(merge)),
        LimitMerge limit => _disks.Find(limit.Disk).MergeAsync(merging => merging.LimitAsync(limit)),
        CancelMerge cancel => _disks.Find(cancel.Disk).MergeAsync(merging => merging.CancelAsync(cancel)),
        ForgetMerge forget => _disks.Find(forget.Disk).MergeAsync(merging => merging.ForgetAsync(forget)),
        RenewLease lease => _disks.ForAllAsync(disk => Task.Run(() => disk.Renew(lease))),
        HoldDisks => _disks.ForAllAsync(disk => disk.HoldAsync()),
        RevokeLease lease => _disks.ForAllAsync(disk => Task.Run(() => disk.Revoke(lease.Reason))),
        _ => _disks.RetryAsync(CancellationToken.None),
    };

    /// <summary>Closes everything as for a stop, after the long part of it has been done while the guest is still served.</summary>
    private async Task<WorkerStatus> HandleRestartAsync()
    {
        if (!HasSupervisor(_options))
        {
            throw new GodwitException(
                ErrorCode.WrongState, "this worker has no supervisor that would start another", "start a supervisor: it replaces the worker");
        }

        await _disks.SettleAsync().ConfigureAwait(false);
        if (_stopRequested.Task.IsCompleted)
            throw new GodwitException(ErrorCode.WrongState, "the worker ends already");
        _startsAgain = true;
        return await EndAsync().ConfigureAwait(false);
    }

    private Task<WorkerStatus> HandleStopAsync()
    {
        _ends = true;
        return EndAsync();
    }

    private async Task<WorkerStatus> EndAsync()
    {
        var status = Status();
        _stopRequested.TrySetResult();
        var clean = await StopAsync().ConfigureAwait(false);
        return clean
            ? status
            : throw new GodwitException(ErrorCode.IoFailed, "the worker has stopped, but a disk could not be flushed", "see worker.log");
    }

    /// <summary>Ends the NBD server and closes the disks, once however often it is asked.</summary>
    private Task<bool> StopAsync()
    {
        lock (_gate)
            return _stopping ??= StopOnceAsync();
    }

    private async Task<bool> StopOnceAsync()
    {
        await _stopNbd.CancelAsync().ConfigureAwait(false);
        await _serving.ConfigureAwait(false);
        return await _disks.CloseAsync().ConfigureAwait(false);
    }

    private async Task CheckAsync()
    {
        using var timer = new PeriodicTimer(CheckPeriod, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stopControl.Token).ConfigureAwait(false))
            {
                await _disks.RetryAsync(CancellationToken.None).ConfigureAwait(false);
                await _disks.CheckMirrorsAsync().ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // The worker ends.
        }
    }

    private WorkerStatus Status()
    {
        // Once the supervisor is dead its number says nothing: someone else may have it.
        var supervisor = HasSupervisor(_options) ? _options.Supervisor : null;
        return new WorkerStatus(Environment.ProcessId, supervisor, _options.Restarts, _disks.Status(), _sandbox);
    }

    private static bool HasSupervisor(WorkerOptions.Serve options) => options.Supervisor == LibC.ParentProcess();

    private void Stop(PosixSignalContext context)
    {
        context.Cancel = true;
        _ends = true;
        _stopRequested.TrySetResult();
    }

    private static void Ignore(PosixSignalContext context) => context.Cancel = true;

    private static async Task<LockFile> TakeLockAsync(string path, TimeProvider time)
    {
        var start = time.GetTimestamp();
        while (true)
        {
            if (LockFile.TryTake(path, out var holder) is { } taken)
                return taken;
            if (time.GetElapsedTime(start) > LockPatience)
                throw new GodwitException(ErrorCode.Busy, $"another worker (process {holder?.ProcessId}) serves this folder");
            await Task.Delay(TimeSpan.FromMilliseconds(5), time, CancellationToken.None).ConfigureAwait(false);
        }
    }

    private static Socket Listen(int? inherited, string path)
    {
        var descriptor = inherited ?? ListeningSocket.Bind(path);
        // Back to our own use only: the supervisor cleared the flag for the way through exec.
        _ = LibC.Control(descriptor, LibC.SetDescriptorFlags, 1);
        // A worker before us may have left the shared socket non-blocking.
        _ = LibC.Control(descriptor, LibC.SetFlags, LibC.Control(descriptor, LibC.GetFlags, 0) & ~LibC.NonBlocking);
        return new Socket(new SafeSocketHandle(descriptor, ownsHandle: true));
    }
}
