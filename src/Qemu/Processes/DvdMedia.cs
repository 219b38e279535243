using Godwit.Qemu.Launch;
using Godwit.Qemu.Qmp;

namespace Godwit.Qemu.Processes;

/// <summary>What is in the DVD drives of a running guest.</summary>
/// <remarks>Source: QEMU QMP reference manual, "blockdev-open-tray" and what follows it.</remarks>
public static class DvdMedia
{
    /// <summary>Puts a disc into a drive, in the place of the one that is in it, or takes it out. A tray that the guest has locked is opened all the
    /// same, as if somebody had used a paper clip. Nothing happens when it is so already.</summary>
    /// <param name="qemu">The guest's QEMU.</param>
    /// <param name="drive">Name of the drive.</param>
    /// <param name="path">The image; null for an empty drive.</param>
    /// <param name="cancellationToken">Gives up waiting for QEMU's answer.</param>
    /// <exception cref="QmpException">QEMU cannot open the image: what was in the drive still is. Or there is no such drive.</exception>
    public static async Task SetAsync(QemuProcess qemu, string drive, string? path, CancellationToken cancellationToken)
    {
        var qmp = qemu.Monitor;
        var device = QemuDrives.DevicePrefix + drive;
        var drives = await qmp.QueryBlockAsync(cancellationToken).ConfigureAwait(false);
        var inserted = drives.FirstOrDefault(one => one.Qdev == device)?.Inserted;
        if (inserted?.File == path)
            return;
        // The new one first: when it cannot be opened nothing has changed.
        var node = inserted?.NodeName == drive ? drive + ".1" : drive;
        if (path is not null)
            await AddAsync(qmp, node, path, cancellationToken).ConfigureAwait(false);
        await qmp.OpenTrayAsync(device, cancellationToken).ConfigureAwait(false);
        if (inserted is not null)
        {
            await qmp.RemoveMediumAsync(device, cancellationToken).ConfigureAwait(false);
            await qmp.RemoveNodeAsync(inserted.NodeName, cancellationToken).ConfigureAwait(false);
        }

        if (path is not null)
            await qmp.InsertMediumAsync(device, node, cancellationToken).ConfigureAwait(false);
        await qmp.CloseTrayAsync(device, cancellationToken).ConfigureAwait(false);
    }

    // A node of that name that is in no drive was left by somebody who gave up half way.
    private static async Task AddAsync(QmpConnection qmp, string node, string path, CancellationToken cancellationToken)
    {
        var nodes = await qmp.QueryNamedBlockNodesAsync(cancellationToken).ConfigureAwait(false);
        if (nodes.Any(one => one.NodeName == node))
            await qmp.RemoveNodeAsync(node, cancellationToken).ConfigureAwait(false);
        await qmp.AddFileNodeAsync(node, path, cancellationToken).ConfigureAwait(false);
    }
}
