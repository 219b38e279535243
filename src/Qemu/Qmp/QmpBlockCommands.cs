namespace Godwit.Qemu.Qmp;

/// <summary>Commands about drives and what is in them, typed. Each fails as those of <see cref="QmpCommands"/>.</summary>
/// <remarks>Source: QEMU QMP reference manual, "Block devices".</remarks>
public static class QmpBlockCommands
{
    /// <summary>All drives.</summary>
    public static async Task<IReadOnlyList<QmpDrive>> QueryBlockAsync(this QmpConnection qmp, CancellationToken cancellationToken) =>
        await qmp.ExecuteAsync("query-block", QmpJson.Default.ListQmpDrive, cancellationToken).ConfigureAwait(false);

    /// <summary>Opens a file for reading, as a block node.</summary>
    public static Task AddFileNodeAsync(this QmpConnection qmp, string node, string path, CancellationToken cancellationToken) => qmp.ExecuteAsync(
        "blockdev-add", new QmpFileNode("file", node, path, ReadOnly: true), QmpJson.Default.QmpFileNode, QmpJson.Default.QmpNothing, cancellationToken);

    /// <summary>Closes a block node that nothing uses.</summary>
    public static Task RemoveNodeAsync(this QmpConnection qmp, string node, CancellationToken cancellationToken) => qmp.ExecuteAsync(
        "blockdev-del", new QmpNodeName(node), QmpJson.Default.QmpNodeName, QmpJson.Default.QmpNothing, cancellationToken);

    /// <summary>Opens the tray of a drive, locked or not.</summary>
    public static Task OpenTrayAsync(this QmpConnection qmp, string device, CancellationToken cancellationToken) => qmp.ExecuteAsync(
        "blockdev-open-tray", new QmpOpenTray(device, Force: true), QmpJson.Default.QmpOpenTray, QmpJson.Default.QmpNothing, cancellationToken);

    /// <summary>Closes the tray of a drive.</summary>
    public static Task CloseTrayAsync(this QmpConnection qmp, string device, CancellationToken cancellationToken) => qmp.ExecuteAsync(
        "blockdev-close-tray", new QmpDriveId(device), QmpJson.Default.QmpDriveId, QmpJson.Default.QmpNothing, cancellationToken);

    /// <summary>Takes out what is in a drive whose tray is open; the block node stays.</summary>
    public static Task RemoveMediumAsync(this QmpConnection qmp, string device, CancellationToken cancellationToken) => qmp.ExecuteAsync(
        "blockdev-remove-medium", new QmpDriveId(device), QmpJson.Default.QmpDriveId, QmpJson.Default.QmpNothing, cancellationToken);

    /// <summary>Puts a block node into a drive whose tray is open and empty.</summary>
    public static Task InsertMediumAsync(this QmpConnection qmp, string device, string node, CancellationToken cancellationToken) => qmp.ExecuteAsync(
        "blockdev-insert-medium", new QmpInsertMedium(device, node), QmpJson.Default.QmpInsertMedium, QmpJson.Default.QmpNothing, cancellationToken);
}
