using System.Globalization;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Worker.Interop;
using Godwit.Worker.Logging;
using Godwit.Worker.Sandbox;
using Godwit.Worker.Serving;

namespace Godwit.Worker.Supervision;

/// <summary>
/// Holds a VM's two listening sockets and keeps a worker running behind them. So little code that it has no reason to die;
/// should it die all the same, the worker goes on, and the next supervisor takes over.
/// </summary>
/// <remarks>One instance per process. The sockets stay open across workers, so QEMU's reconnect succeeds at once and waits
/// in the handshake instead of sleeping out its back-off.</remarks>
internal sealed class Supervisor : IDisposable
{
    private static readonly TimeSpan AlmostStopped = TimeSpan.FromMilliseconds(5);

    private readonly WorkerFolders _folders;
    private readonly TimeProvider _time;
    private readonly Inheritance? _inherited;
    private readonly OwnProgram _program = new(Environment.ProcessPath ?? WorkerCommand.Program);
    private readonly LockFile _lock;
    private readonly LogFile _logFile;
    private readonly ParentFolders? _disks;
    private readonly RestartDelay _delay = new();
    private readonly ManualResetEventSlim _stop = new();
    private readonly Lock _gate = new();
    private int _nbd = -1;
    private int _control = -1;
    private int _childHandle = -1;
    private (DateTimeOffset At, string Text)? _death;

    /// <summary>Takes the folder's lock.</summary>
    /// <param name="folders">Where everything is.</param>
    /// <param name="inherited">What this process had as an older program; null at its start.</param>
    /// <param name="time">Measures how long workers live.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Busy"/>: another supervisor has the folder.</exception>
    internal Supervisor(WorkerFolders folders, Inheritance? inherited, TimeProvider time)
    {
        _folders = folders;
        _time = time;
        _inherited = inherited;
        folders.Prepare();
        _lock = inherited is not null ? LockFile.Inherit(folders.SupervisorLock, inherited.Lock) : LockFile.TryTake(folders.SupervisorLock, out var holder) ?? throw new GodwitException(
            ErrorCode.Busy,
            $"another supervisor (process {holder?.ProcessId.ToString(CultureInfo.InvariantCulture) ?? "unknown"}) runs for {folders.Config}",
            "use the worker that runs, or end it with its \"stop\" command");
        _logFile = new LogFile(folders.Log);
        // Once, before there is a worker: one that has been taken over could write the file anew, for its successor.
        _disks = ParentFoldersFile.Read(folders.ParentFoldersFile);
    }

    /// <summary>Binds both sockets, in front of a worker that may still run from before, then ends that one.</summary>
    internal void TakeOver()
    {
        _nbd = _inherited is null ? ListeningSocket.Bind(_folders.NbdSocket) : ListeningSocket.Inherit(_inherited.Nbd);
        _control = _inherited is null ? ListeningSocket.Bind(_folders.ControlSocket) : ListeningSocket.Inherit(_inherited.Control);
        OrphanWorker.End(_folders.WorkerLock, _time, Log);
    }

    /// <summary>Keeps a worker running until one ends by itself or <see cref="Stop"/> is called.</summary>
    /// <returns>The program's exit code.</returns>
    internal int Run()
    {
        Log($"supervisor {Environment.ProcessId} runs for {_folders.Config}");
        for (var restarts = _inherited?.Restarts ?? 0; ; restarts++)
        {
            var started = _time.GetTimestamp();
            var ended = RunWorker(restarts);
            if (ended == 0 || _stop.IsSet)
                return End(_stop.IsSet && IsAsked(ended) ? 0 : ended);
            if (ended == WorkerCommand.StartAgain)
            {
                Log("worker ended to be started again");
                Upgrade(restarts + 1);
                continue;
            }

            var lifetime = _time.GetElapsedTime(started);
            if (!File.Exists(_folders.ConfigFile))
            {
                Log($"{_folders.ConfigFile} is gone; nothing is left to serve");
                return End(1);
            }

            var wait = _delay.AfterDeath(lifetime, killed: ended == -LibC.SignalKill);
            _death = (_time.GetUtcNow(), $"{Describe(ended)} after {lifetime.TotalSeconds:F1} s; starting another in {wait.TotalMilliseconds:F0} ms");
            if (wait > TimeSpan.Zero)
                LogDeath();
            if (_stop.Wait(wait))
                return End(0);
        }
    }

    /// <summary>Asks the worker to end cleanly and <see cref="Run"/> with it. From any thread, any number of times.</summary>
    internal void Stop()
    {
        lock (_gate)
        {
            _stop.Set();
            // A handle, not an id: a worker that is already gone cannot be mistaken for its successor in the table.
            if (_childHandle >= 0)
                _ = LibC.Call(LibC.PidfdSendSignalCall, _childHandle, LibC.SignalTerminate, 0, 0);
        }
    }

    /// <summary>Lets go of the lock.</summary>
    public void Dispose()
    {
        _lock.Dispose();
        _stop.Dispose();
    }

    private int RunWorker(int restarts)
    {
        try
        {
            OrphanWorker.End(_folders.WorkerLock, _time, Log);
            int child;
            lock (_gate)
            {
                if (_stop.IsSet)
                    return 0;
                child = StartWorker(restarts);
                _childHandle = (int)LibC.Call(LibC.PidfdOpenCall, child, 0, 0, 0);
            }

            LogDeath();

            var ended = ChildProcess.WaitForEnd(child);
            lock (_gate)
            {
                _ = LibC.Close(_childHandle);
                _childHandle = -1;
            }

            return ended;
        }
        catch (GodwitException e)
        {
            Log(e.Problem.Title);
            return 1;
        }
    }

    /// <summary>Becomes the program that an upgrade has put under our name, if it has. Sockets and lock stay, and the process with its
    /// number; there is no worker at this moment.</summary>
    private void Upgrade(int restarts)
    {
        if (!_program.IsReplaced)
            return;
        // A SIGTERM from here on ends this process: there is no worker to be told, and the new program may not listen yet.
        using var termination = new PlainTermination();
        PlainTermination.Settle();
        if (_stop.Wait(AlmostStopped))
            return;
        Log($"supervisor {Environment.ProcessId} becomes the new {_program.Path}");
        try
        {
            _program.Become(
                WorkerCommand.Supervise(_folders, new Inheritance(_lock.Descriptor, _nbd, _control, restarts)), [_lock.Descriptor, _nbd, _control]);
        }
        catch (GodwitException e)
        {
            // The old program is as good as it was, and the guest waits.
            Log($"{e.Problem.Title}; going on with the old program");
        }
    }

    /// <summary>How a worker ends that was told to stop while it ended to be started again, or before it listened.</summary>
    private static bool IsAsked(int ended) => ended == WorkerCommand.StartAgain || ended == -LibC.SignalTerminate;

    private int StartWorker(int restarts)
    {
        var log = _logFile.Open();
        try
        {
            return LimitedThread.Run(_folders, _disks, limits => ChildProcess.Start(
                WorkerCommand.Program,
                WorkerCommand.Serve(_folders, _nbd, _control, Environment.ProcessId, restarts, limits),
                WorkerCommand.Environment(_folders),
                [_nbd, _control],
                log));
        }
        finally
        {
            _ = LibC.Close(log);
        }
    }

    private int End(int ended)
    {
        FileStatus.Remove(_folders.NbdSocket);
        FileStatus.Remove(_folders.ControlSocket);
        LogDeath();
        Log($"{Describe(ended)}; supervisor {Environment.ProcessId} ends");
        return ended == 0 ? 0 : 1;
    }

    /// <summary>Writes of the last worker's death: once the next one is on its way, because a busy file system lets a writer wait.</summary>
    private void LogDeath()
    {
        if (_death is { } death)
            Log(death.Text, death.At);
        _death = null;
    }

    private void Log(string text) => Log(text, _time.GetUtcNow());

    private void Log(string text, DateTimeOffset at)
    {
        try
        {
            var descriptor = _logFile.Open();
            EventLog.Append(descriptor, at, "info", text);
            _ = LibC.Close(descriptor);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or GodwitException)
        {
            // No room or no folder for the log: the worker matters more.
        }
    }

    private static string Describe(int ended) => ended switch
    {
        0 => "worker stopped",
        < 0 => $"worker killed by signal {-ended}",
        _ => $"worker failed with exit code {ended}",
    };
}
