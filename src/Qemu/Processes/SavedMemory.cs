using Godwit.Qemu.Qmp;

namespace Godwit.Qemu.Processes;

/// <summary>Memory and devices of a guest in a file: written by one QEMU, read by another of the same machine and processor.</summary>
/// <remarks>The file has each page at a place of its own, so it is sparse, of bounded size, and written and read by several threads.
/// Source: QEMU migration framework, "Mapped-ram" and "Multifd"; measured in docs/design/qemu.md.</remarks>
public static class SavedMemory
{
    private const int Channels = 2;
    private const string GivenAway = "postmigrate";
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(20);

    /// <summary>Stops the vCPUs and starts to write. Returns at once; <see cref="QueryAsync"/> tells how far it is.</summary>
    /// <param name="qemu">The guest's QEMU.</param>
    /// <param name="file">Absolute path; what is there is overwritten.</param>
    /// <param name="cancellationToken">Gives up waiting for QEMU's answer.</param>
    /// <exception cref="QmpException">QEMU cannot; the vCPUs are stopped.</exception>
    public static async Task BeginSaveAsync(QemuProcess qemu, string file, CancellationToken cancellationToken)
    {
        await qemu.PauseAsync(cancellationToken).ConfigureAwait(false);
        await PrepareAsync(qemu, cancellationToken).ConfigureAwait(false);
        await qemu.Monitor.MigrateAsync(QmpMigrationChannels.File(file), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>How far the transfer is that was begun last.</summary>
    public static async Task<MemoryTransfer> QueryAsync(QemuProcess qemu, CancellationToken cancellationToken)
    {
        var seen = await qemu.Monitor.QueryMigrationAsync(cancellationToken).ConfigureAwait(false);
        var state = seen.Status switch
        {
            null or "none" => MemoryTransferState.None,
            "completed" => MemoryTransferState.Completed,
            "failed" or "cancelled" => MemoryTransferState.Failed,
            _ => MemoryTransferState.Active,
        };
        var total = seen.Ram?.Total ?? 0;
        return new MemoryTransfer(state, total - (seen.Ram?.Remaining ?? total), total, seen.ErrorDesc);
    }

    /// <summary>Whether QEMU has written everything and will not write it again: it has given its guest away.</summary>
    public static async Task<bool> HasGivenAwayAsync(QemuProcess qemu, CancellationToken cancellationToken) =>
        (await qemu.Monitor.QueryStatusAsync(cancellationToken).ConfigureAwait(false)).Status == GivenAway;

    /// <summary>Takes a guest back that is being saved: waits until QEMU writes no more. The vCPUs are stopped afterwards, and the guest can be saved
    /// again.</summary>
    /// <remarks>Never by migrate_cancel: QEMU 10.0 frees its map of the file while a thread still writes, and dies (seen once in a hundred; with it
    /// the guest's memory would be gone). A saving lasts as long as the disk needs for the memory.</remarks>
    public static async Task TakeBackAsync(QemuProcess qemu, TimeProvider time, CancellationToken cancellationToken)
    {
        while ((await QueryAsync(qemu, cancellationToken).ConfigureAwait(false)).State == MemoryTransferState.Active)
            await Task.Delay(AskAgain, time, cancellationToken).ConfigureAwait(false);
        if (!await HasGivenAwayAsync(qemu, cancellationToken).ConfigureAwait(false))
            return;
        // Only running for a moment makes the guest its own again; QEMU refuses another transfer before.
        await qemu.ResumeAsync(cancellationToken).ConfigureAwait(false);
        await qemu.PauseAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Reads what was saved, into a QEMU that was started with <see cref="Launch.QemuConfiguration.Incoming"/>. The vCPUs are
    /// stopped afterwards and no disk was written to.</summary>
    /// <param name="qemu">The QEMU.</param>
    /// <param name="file">Absolute path.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Gives up; the QEMU is of no use then.</param>
    /// <exception cref="QemuException"><see cref="QemuErrorKind.StartFailed"/>: the file does not fit, or is damaged; QEMU has ended or is of
    /// no use.</exception>
    public static async Task LoadAsync(
        QemuProcess qemu, string file, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            await PrepareAsync(qemu, cancellationToken).ConfigureAwait(false);
            await qemu.Monitor.MigrateIncomingAsync(QmpMigrationChannels.File(file), cancellationToken).ConfigureAwait(false);
            while (await QueryAsync(qemu, cancellationToken).ConfigureAwait(false) is var seen && seen.State != MemoryTransferState.Completed)
            {
                if (seen.State == MemoryTransferState.Failed)
                    throw Refused(qemu, file, seen.Problem, null);
                await Task.Delay(AskAgain, time, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is QmpException or QmpConnectionException or QemuException { Kind: QemuErrorKind.Ended or QemuErrorKind.TimedOut })
        {
            throw Refused(qemu, file, e.Message, e);
        }
    }

    private static QemuException Refused(QemuProcess qemu, string file, string? why, Exception? cause)
    {
        var log = LogTail.Read(qemu.Files.Log);
        return new QemuException(QemuErrorKind.StartFailed, $"{file} cannot be loaded: {why ?? "QEMU does not say why"}; its log ends with: {log}", cause);
    }

    private static async Task PrepareAsync(QemuProcess qemu, CancellationToken cancellationToken)
    {
        await qemu.Monitor.SetMigrationCapabilitiesAsync([new("mapped-ram"), new("multifd")], cancellationToken).ConfigureAwait(false);
        await qemu.Monitor.SetMigrationParametersAsync(new QmpMigrationParameters(0, Channels), cancellationToken).ConfigureAwait(false);
    }
}

/// <summary>Where a transfer stands.</summary>
public enum MemoryTransferState
{
    /// <summary>None was begun.</summary>
    None = 0,

    /// <summary>Under way.</summary>
    Active = 1,

    /// <summary>Done: this QEMU has given its guest away, or has got one.</summary>
    Completed = 2,

    /// <summary>It failed or was given up; the guest is as before.</summary>
    Failed = 3,
}

/// <summary>How far a transfer is.</summary>
/// <param name="State">Where it stands.</param>
/// <param name="Done">Bytes of guest memory that are through.</param>
/// <param name="Total">Bytes of guest memory.</param>
/// <param name="Problem">Why it failed.</param>
public sealed record MemoryTransfer(MemoryTransferState State, long Done, long Total, string? Problem);
