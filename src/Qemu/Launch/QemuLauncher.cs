using System.Globalization;
using System.Net.Sockets;
using Godwit.Qemu.Processes;
using Godwit.Qemu.Qmp;

namespace Godwit.Qemu.Launch;

/// <summary>Starts QEMU processes, and adopts those that an earlier run of this program started.</summary>
/// <param name="time">The clock.</param>
/// <remarks>May be used from any thread. For one VM one call at a time; a second QEMU for the same VM is refused by the
/// lock that the first one keeps on its pid file.</remarks>
public sealed class QemuLauncher(TimeProvider time)
{
    private static readonly TimeSpan AdoptLimit = TimeSpan.FromSeconds(5);

    /// <summary>Starts QEMU in a session of its own and waits until its monitor answers.</summary>
    /// <exception cref="QemuException">The configuration is invalid, or QEMU could not be started or did not get ready; it
    /// does not run then.</exception>
    public async Task<QemuProcess> StartAsync(QemuConfiguration configuration, CancellationToken cancellationToken)
    {
        var arguments = QemuArguments.Build(configuration);
        var files = configuration.Files;
        var logStart = LogTail.EndOf(files.Log);
        var process = ProcessStarter.Start(configuration.Binary, arguments, files.Log);
        var monitor = new QemuMonitor(process, files, configuration.Uuid, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(configuration.StartLimit);
        try
        {
            await ConnectAsync(process, monitor, limit.Token).ConfigureAwait(false);
            monitor.PauseWanted = configuration.StartPaused || configuration.Incoming;
            return new QemuProcess(process, monitor, configuration.Uuid, files, time);
        }
        catch (Exception e)
        {
            // A monitor that hangs up is that of a QEMU about to end: let it end by itself, for its exit status.
            var patience = TimeSpan.FromSeconds(e is QmpConnectionException ? 2 : 0);
            var alive = !await process.WaitForExitAsync(patience, time, CancellationToken.None).ConfigureAwait(false);
            process.Kill();
            await process.WaitForExitAsync(TimeSpan.FromSeconds(5), time, CancellationToken.None).ConfigureAwait(false);
            var code = process.ExitCode;
            process.Dispose();
            cancellationToken.ThrowIfCancellationRequested();
            if (e is not (QmpConnectionException or QmpException or SocketException or OperationCanceledException))
                throw;
            throw Failed(configuration, alive, code, LogTail.Read(files.Log, logStart), e);
        }
    }

    /// <summary>Takes over the QEMU of a VM, if it runs: found by its pid file, known by its command line, the owner of its
    /// monitor's socket and its id.</summary>
    /// <param name="uuid">The VM's id.</param>
    /// <param name="files">The files it was started with.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The process, or null when it does not run. When its monitor does not answer within some seconds its state
    /// is <see cref="QemuRunState.Unresponsive"/>; it can still be turned off.</returns>
    /// <exception cref="QemuException"><see cref="QemuErrorKind.NotOurs"/>: something else sits at its sockets.</exception>
    public async Task<QemuProcess?> AdoptAsync(Guid uuid, QemuFiles files, CancellationToken cancellationToken)
    {
        if (ReadPid(files.PidFile) is not int id || OwnedProcess.Find(id, QemuArguments.Marks(uuid, files)) is not { } process)
            return null;
        var monitor = new QemuMonitor(process, files, uuid, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(AdoptLimit);
        try
        {
            await ConnectAsync(process, monitor, limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is QmpConnectionException or QmpException or SocketException
            || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            if (process.HasExited)
            {
                process.Dispose();
                return null;
            }
        }
        catch
        {
            process.Dispose();
            throw;
        }

        // Whoever paused it is gone with his reasons; the VM's owner decides again.
        monitor.PauseWanted = monitor.State.Current.Run == QemuRunState.Paused;
        return new QemuProcess(process, monitor, uuid, files, time);
    }

    private async Task ConnectAsync(OwnedProcess process, QemuMonitor monitor, CancellationToken cancellationToken)
    {
        // An end of the process also ends the waiting for a greeting: the socket may be that of another QEMU, the lock on
        // whose pid file ended ours.
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var exit = process.WaitForExitAsync(TimeSpan.FromDays(1), time, stop.Token);
        var connect = ConnectWhenListeningAsync(process, monitor, stop.Token);
        await Task.WhenAny(connect, exit).ConfigureAwait(false);
        await stop.CancelAsync().ConfigureAwait(false);
        await connect.ConfigureAwait(false);
    }

    private async Task ConnectWhenListeningAsync(OwnedProcess process, QemuMonitor monitor, CancellationToken cancellationToken)
    {
        for (var pause = 5; ; pause = Math.Min(pause * 2, 100))
        {
            try
            {
                await monitor.ConnectAsync(cancellationToken).ConfigureAwait(false);
                return;
            }
            catch (SocketException) when (!process.HasExited)
            {
                // Not listening yet.
            }

            await Task.Delay(TimeSpan.FromMilliseconds(pause), time, cancellationToken).ConfigureAwait(false);
        }
    }

    private static int? ReadPid(string path)
    {
        try
        {
            return int.TryParse(File.ReadAllText(path).AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static QemuException Failed(QemuConfiguration configuration, bool alive, int? code, string said, Exception cause)
    {
        var words = said.Length == 0 ? $"it printed nothing; {cause.Message}" : said;
        return alive
            ? new QemuException(
                QemuErrorKind.TimedOut, $"QEMU of VM {configuration.Name} was not ready within {configuration.StartLimit.TotalSeconds:0} s: {words}", cause)
            : new QemuException(QemuErrorKind.StartFailed, $"QEMU of VM {configuration.Name} ended with status {code}: {words}", cause);
    }
}
