using Godwit.Qemu.Launch;
using Godwit.Qemu.Qmp;

namespace Godwit.Qemu.Processes;

/// <summary>A running QEMU, started or adopted by <see cref="QemuLauncher"/>. It lives on when this object is disposed.</summary>
/// <remarks>All members may be called from any thread. Methods fail with <see cref="QemuException"/>
/// (<see cref="QemuErrorKind.Ended"/>) once the process has ended.</remarks>
public sealed class QemuProcess : IAsyncDisposable
{
    private static readonly TimeSpan PressAgain = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan QuitLimit = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan KillLimit = TimeSpan.FromSeconds(10);

    private readonly OwnedProcess _process;
    private readonly QemuMonitor _monitor;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _detached = new();
    private readonly Task<QemuExit> _watch;
    private int _disposed;

    internal QemuProcess(OwnedProcess process, QemuMonitor monitor, Guid uuid, QemuFiles files, TimeProvider time)
    {
        _process = process;
        _monitor = monitor;
        _time = time;
        Uuid = uuid;
        Files = files;
        _watch = monitor.WatchAsync(_detached.Token);
    }

    /// <summary>The VM's id.</summary>
    public Guid Uuid { get; }

    /// <summary>Its sockets and files.</summary>
    public QemuFiles Files { get; }

    /// <summary>QEMU's process id.</summary>
    public int ProcessId => _process.Id;

    /// <summary>What it is doing, as last observed.</summary>
    public QemuState State => _monitor.State.Current;

    /// <summary>Waits until the state is another than <paramref name="known"/> and returns it. States that come and go in
    /// between can be missed, the present one never.</summary>
    public Task<QemuState> WaitForChangeAsync(QemuState known, CancellationToken cancellationToken) =>
        _monitor.State.WaitForChangeAsync(known, cancellationToken);

    /// <summary>Waits until the process has ended.</summary>
    /// <exception cref="OperationCanceledException">Given up, or this object was disposed while QEMU lives on.</exception>
    public Task<QemuExit> WaitForExitAsync(CancellationToken cancellationToken) => _watch.WaitAsync(cancellationToken);

    /// <summary>Runs something over the monitor.</summary>
    /// <exception cref="QemuException"><see cref="QemuErrorKind.TimedOut"/>: the monitor does not answer just now.</exception>
    /// <exception cref="QmpException">QEMU refused.</exception>
    public QmpConnection Monitor => _process.HasExited
        ? throw new QemuException(QemuErrorKind.Ended, $"QEMU of VM {Uuid} has ended")
        : _monitor.Connection ?? throw new QemuException(QemuErrorKind.TimedOut, $"the monitor of VM {Uuid} does not answer: {State.Reason}");

    /// <summary>Opens the second monitor, which answers out of band even while the first one hangs. One user at a time.</summary>
    /// <returns>A connection that belongs to the caller.</returns>
    public Task<QmpConnection> OpenOutOfBandMonitorAsync(CancellationToken cancellationToken) =>
        QmpConnection.ConnectAsync(Files.OutOfBandMonitor, cancellationToken);

    /// <summary>Stops the vCPUs. They stay stopped until <see cref="ResumeAsync"/>, also when a failed disk comes back.</summary>
    public async Task PauseAsync(CancellationToken cancellationToken)
    {
        _monitor.PauseWanted = true;
        await Monitor.StopAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Lets the vCPUs run.</summary>
    public async Task ResumeAsync(CancellationToken cancellationToken)
    {
        _monitor.PauseWanted = false;
        await Monitor.ContinueAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Presses the reset button: the guest boots again.</summary>
    public Task ResetAsync(CancellationToken cancellationToken) => Monitor.SystemResetAsync(cancellationToken);

    /// <summary>Presses the power button and waits until the guest has shut down; presses again every ten seconds, for a
    /// guest that was not listening yet. The guest is not turned off when the limit passes.</summary>
    /// <exception cref="QemuException"><see cref="QemuErrorKind.TimedOut"/>: it did not within <paramref name="limit"/>;
    /// <see cref="QemuErrorKind.WrongState"/>: its vCPUs are stopped, so it cannot.</exception>
    public async Task<QemuExit> StopAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        if (State.Run == QemuRunState.Paused)
            throw new QemuException(QemuErrorKind.WrongState, $"VM {Uuid} is paused and cannot shut down: resume it first, or turn it off");
        var begun = _time.GetTimestamp();
        while (limit - _time.GetElapsedTime(begun) is var left && left > TimeSpan.Zero)
        {
            await PressPowerButtonAsync(cancellationToken).ConfigureAwait(false);
            if (await EndsWithinAsync(left < PressAgain ? left : PressAgain, cancellationToken).ConfigureAwait(false))
                return await _watch.ConfigureAwait(false);
        }

        throw new QemuException(
            QemuErrorKind.TimedOut, $"the guest of VM {Uuid} did not shut down within {limit.TotalSeconds:0} s: wait longer, or turn it off");
    }

    /// <summary>Ends QEMU at once, like pulling the plug: first by a word, then by force.</summary>
    /// <exception cref="QemuException"><see cref="QemuErrorKind.TimedOut"/>: the kernel could not end the process.</exception>
    public async Task<QemuExit> TurnOffAsync(CancellationToken cancellationToken)
    {
        // Quitting waits for requests in flight, and so for a worker that may never come back.
        await TryQuitAsync(cancellationToken).ConfigureAwait(false);
        if (!await EndsWithinAsync(QuitLimit, cancellationToken).ConfigureAwait(false))
            _process.Kill();
        if (await EndsWithinAsync(KillLimit, cancellationToken).ConfigureAwait(false))
            return await _watch.ConfigureAwait(false);
        throw new QemuException(QemuErrorKind.TimedOut, $"process {ProcessId} of VM {Uuid} was killed and does not end: a device of the host hangs");
    }

    /// <summary>Lets go of QEMU, which runs on and can be adopted. May be called again without effect.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        await _detached.CancelAsync().ConfigureAwait(false);
        try
        {
            await _watch.ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // What we just asked for.
        }

        if (_monitor.Connection is { } connection)
            await connection.DisposeAsync().ConfigureAwait(false);
        _process.Dispose();
        _detached.Dispose();
    }

    private async Task PressPowerButtonAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(PressAgain);
        try
        {
            if (_monitor.Connection is { } connection)
                await connection.SystemPowerdownAsync(limit.Token).ConfigureAwait(false);
        }
        catch (QmpConnectionException)
        {
            // It ended while we asked, or the watch is connecting again: the next round tells.
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The monitor hangs, most likely for a disk; pressed again when it does not.
        }
    }

    private async Task TryQuitAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(QuitLimit);
        try
        {
            if (_monitor.Connection is { } connection)
                await connection.QuitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is QmpConnectionException or QmpException
            || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            // Killed next.
        }
    }

    private async Task<bool> EndsWithinAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var first = await Task.WhenAny(_watch, Task.Delay(limit, _time, stop.Token)).ConfigureAwait(false);
        await stop.CancelAsync().ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        return first == _watch;
    }
}
