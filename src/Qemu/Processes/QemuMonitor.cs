using System.Net.Sockets;
using Godwit.Qemu.Launch;
using Godwit.Qemu.Qmp;

namespace Godwit.Qemu.Processes;

/// <summary>
/// Watches one QEMU over its monitor: keeps the state, lets the guest go on after a disk failed, connects again when the
/// connection breaks, and notes how it ended. One loop, so nothing here needs a lock.
/// </summary>
internal sealed class QemuMonitor(OwnedProcess process, QemuFiles files, Guid uuid, TimeProvider time)
{
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(2);

    private readonly DiskRetry _retry = new(time);
    private string? _diskProblem;
    private bool _byGuest;
    private string? _shutdownReason;

    /// <summary>The state as last observed.</summary>
    public StateSignal State { get; } = new(new QemuState(QemuRunState.Unresponsive, "its monitor has not answered yet"));

    /// <summary>The connection in use; null while there is none.</summary>
    public QmpConnection? Connection { get; private set; }

    /// <summary>Somebody wants the guest to stand still: do not let it go on when a disk comes back.</summary>
    public bool PauseWanted { get; set; }

    /// <summary>Connects, and checks that it is the right VM in the right process.</summary>
    /// <exception cref="QemuException"><see cref="QemuErrorKind.NotOurs"/>: somebody else listens there.</exception>
    /// <exception cref="SocketException">Nobody listens there.</exception>
    /// <exception cref="QmpConnectionException">Who answers does not speak QMP, or hung up.</exception>
    public async Task ConnectAsync(CancellationToken cancellationToken)
    {
        var (connection, peer) = await QmpConnection.ConnectToPeerAsync(files.Monitor, cancellationToken).ConfigureAwait(false);
        try
        {
            if (peer != process.Id)
                throw new QemuException(QemuErrorKind.NotOurs, $"{files.Monitor} belongs to process {peer}, not to {process.Id}");
            var found = await connection.QueryUuidAsync(cancellationToken).ConfigureAwait(false);
            if (found != uuid)
                throw new QemuException(QemuErrorKind.NotOurs, $"{files.Monitor} is the monitor of VM {found}, not of {uuid}");
            State.Set(Observe(await connection.QueryStatusAsync(cancellationToken).ConfigureAwait(false)));
            Connection = connection;
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Watches until the process has ended, or until cancelled.</summary>
    public async Task<QemuExit> WatchAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (Connection is { } connection)
            {
                await PumpAsync(connection, cancellationToken).ConfigureAwait(false);
                Connection = null;
                await connection.DisposeAsync().ConfigureAwait(false);
            }

            if (await process.WaitForExitAsync(AskAgain, time, cancellationToken).ConfigureAwait(false))
                break;
            await TryConnectAsync(cancellationToken).ConfigureAwait(false);
        }

        var exit = DescribeExit();
        State.Set(new QemuState(QemuRunState.Ended, exit.Reason));
        return exit;
    }

    private async Task TryConnectAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(AnswerLimit);
        try
        {
            await ConnectAsync(limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or QmpConnectionException or QmpException or QemuException
            || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            State.Set(new QemuState(QemuRunState.Unresponsive, $"its monitor does not answer: {e.Message}"));
        }
    }

    // Takes events and acts on the state until the connection ends.
    private async Task PumpAsync(QmpConnection connection, CancellationToken cancellationToken)
    {
        var more = connection.Events.WaitToReadAsync(cancellationToken).AsTask();
        try
        {
            while (true)
            {
                var pause = NextPause();
                var eventCame = await WaitAsync(more, pause, cancellationToken).ConfigureAwait(false);
                if (eventCame)
                {
                    if (!await more.ConfigureAwait(false))
                        return;
                    while (connection.Events.TryRead(out var happened))
                        Note(happened);
                    more = connection.Events.WaitToReadAsync(cancellationToken).AsTask();
                }

                await RefreshAsync(connection, letGoOn: !eventCame, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (QmpConnectionException)
        {
            // The connection is over: what it means is for the caller to find out. Events it still held may say why it ended.
            while (connection.Events.TryRead(out var happened))
                Note(happened);
        }
    }

    private TimeSpan? NextPause() => State.Current.Run switch
    {
        QemuRunState.WaitingForDisk when !PauseWanted => _retry.NextPause(),
        QemuRunState.Unresponsive or QemuRunState.WaitingForDisk => AskAgain,
        _ => null,
    };

    // True when the task is done, false when the pause is over before.
    private async Task<bool> WaitAsync(Task task, TimeSpan? pause, CancellationToken cancellationToken)
    {
        if (pause is not { } length)
        {
            await task.ConfigureAwait(false);
            return true;
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var delay = Task.Delay(length, time, stop.Token);
        var first = await Task.WhenAny(task, delay).ConfigureAwait(false);
        await stop.CancelAsync().ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        return first == task;
    }

    private async Task RefreshAsync(QmpConnection connection, bool letGoOn, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(AnswerLimit);
        try
        {
            var state = Observe(await connection.QueryStatusAsync(limit.Token).ConfigureAwait(false));
            if (state.Run == QemuRunState.WaitingForDisk && letGoOn && !PauseWanted)
            {
                _retry.Tried();
                await connection.ContinueAsync(limit.Token).ConfigureAwait(false);
                state = Observe(await connection.QueryStatusAsync(limit.Token).ConfigureAwait(false));
            }

            State.Set(state);
        }
        catch (QmpException e)
        {
            State.Set(State.Current with { Reason = e.Message });
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            State.Set(new QemuState(QemuRunState.Unresponsive, "its monitor does not answer; most likely it waits for a disk"));
        }
    }

    private void Note(QmpEvent happened)
    {
        switch (happened.Name)
        {
            case "BLOCK_IO_ERROR":
                var what = happened.GetBoolean("nospace") ? "there is no room left" : happened.GetString("reason") ?? "it failed";
                _diskProblem = $"{happened.GetString("node-name") ?? "a disk"}: {happened.GetString("operation") ?? "request"}: {what}";
                break;
            case "SHUTDOWN":
                _byGuest = happened.GetBoolean("guest");
                _shutdownReason = happened.GetString("reason");
                State.Set(new QemuState(QemuRunState.Ending, _shutdownReason));
                break;
            default:
                break; // STOP, RESUME and the others: the state is asked for after every batch of events.
        }
    }

    private QemuState Observe(QmpStatus status)
    {
        if (_shutdownReason is not null)
            return new QemuState(QemuRunState.Ending, _shutdownReason);
        return status.Status switch
        {
            "running" => new QemuState(QemuRunState.Running),
            "io-error" => new QemuState(QemuRunState.WaitingForDisk, _diskProblem ?? "a disk failed"),
            "paused" or "prelaunch" => new QemuState(QemuRunState.Paused),
            "shutdown" => new QemuState(QemuRunState.Ending, "the guest has shut down"),
            var other => new QemuState(status.Running ? QemuRunState.Running : QemuRunState.Paused, other),
        };
    }

    private QemuExit DescribeExit()
    {
        var reason = _shutdownReason switch
        {
            "guest-shutdown" => "the guest shut down",
            "host-qmp-quit" => "it was told to end",
            "host-signal" => "it was ended by a signal",
            { } other => other,
            null when process.ExitCode is > 128 and int code => $"QEMU was killed by signal {code - 128}",
            null when process.ExitCode is int code => $"QEMU ended with status {code}",
            null => "QEMU ended without a word",
        };
        if (_shutdownReason is null && LogTail.Read(files.Log) is { Length: > 0 } said)
            reason += $"; its log ends with: {said}";
        return new QemuExit(process.ExitCode, _byGuest, reason);
    }
}
