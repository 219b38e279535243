using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Makes an image present the same disk to a guest as another one: for a merge, after which a lower layer is the disk that an
/// upper layer was.</summary>
/// <remarks>[MS-VHDX] 2.6.1.2 and 2.6.2: metadata belongs to the file or to the virtual disk. The disk's identifier (what a guest sees as
/// SCSI page 83), its physical sector size and all items of the virtual disk that nobody here knows, the user's included, are
/// taken over; the size is the caller's, the logical sector size and what belongs to the file stay.</remarks>
internal static class VhdxDiskMetadata
{
    /// <summary>Takes it over. A crash at any moment leaves the old metadata or the new, whole. The disk's content and the identity
    /// that children record stay as they are.</summary>
    /// <param name="target">The lower layer, open for writing and by nobody else; stays the caller's. A log is replayed first.</param>
    /// <param name="source">The upper layer; only read.</param>
    /// <param name="cancellationToken">Gives up before anything has changed.</param>
    /// <exception cref="StorageException">As for <see cref="RequireRoomAsync"/>; NoSpace: nothing has changed; or a file failed.</exception>
    public static async ValueTask CarryAsync(IStorageFile target, IStorageFile source, CancellationToken cancellationToken)
    {
        var front = await OpenAsync(target, readOnly: false, cancellationToken).ConfigureAwait(false);
        if (await ComposeAsync(front, source, cancellationToken).ConfigureAwait(false) is not byte[] bytes)
            return;
        var old = front.Regions.Metadata;
        await VhdxRegionMove.RunAsync(
            target, front.Headers, front.Regions, old, Math.Max(old.Length, VhdxFormat.AlignUp(bytes.Length, VhdxFormat.MiB)),
            place => target.WriteAsync(place, bytes, CancellationToken.None)).ConfigureAwait(false);
    }

    /// <summary>Checks that <see cref="CarryAsync"/> will be possible. Writes nothing.</summary>
    /// <exception cref="StorageException">Unsupported: there is more than fits; as for opening; or a file failed.</exception>
    public static async ValueTask RequireRoomAsync(IStorageFile target, IStorageFile source, CancellationToken cancellationToken)
    {
        var front = await OpenAsync(target, readOnly: true, cancellationToken).ConfigureAwait(false);
        await ComposeAsync(front, source, cancellationToken).ConfigureAwait(false);
    }

    private static ValueTask<VhdxFront> OpenAsync(IStorageFile file, bool readOnly, CancellationToken cancellationToken) =>
        VhdxImage.OpenFrontAsync(file, readOnly, new VhdxOpenOptions(), VhdxFindings.Strict(file), cancellationToken);

    /// <summary>The region as it must be; null when it is so already.</summary>
    private static async ValueTask<byte[]?> ComposeAsync(VhdxFront target, IStorageFile source, CancellationToken cancellationToken)
    {
        var upper = await OpenAsync(source, readOnly: true, cancellationToken).ConfigureAwait(false);
        var table = await VhdxMetadata.ReadTableAsync(target.File, target.Regions.Metadata, cancellationToken).ConfigureAwait(false);
        var upperTable = await VhdxMetadata.ReadTableAsync(upper.File, upper.Regions.Metadata, cancellationToken).ConfigureAwait(false);
        var own = await table.ReadAllAsync(cancellationToken).ConfigureAwait(false);

        // A physical sector is never smaller than a logical one.
        var takesPhysical = upper.Metadata.PhysicalSectorSize >= target.Metadata.LogicalSectorSize;
        var carried = (await upperTable.ReadAllAsync(cancellationToken).ConfigureAwait(false)).Where(item => IsCarried(item, takesPhysical)).ToList();
        var kept = own.Where(item => !IsCarried(item, takesPhysical) && !carried.Exists(item.IsFor));
        List<VhdxMetadataItem> wanted = [.. kept, .. carried];
        if (wanted.Count == own.Count && wanted.TrueForAll(item => own.Any(item.Says)))
            return null;
        if (wanted.Count > VhdxFormat.MaxMetadataItems || wanted.Count(static item => item.IsUser) > VhdxFormat.MaxUserMetadataItems)
            throw table.Unsupported($"together with those of {source.Path} there would be {wanted.Count} metadata items, more than the format allows");
        return VhdxMetadataTable.ToBytes(wanted);
    }

    private static bool IsCarried(VhdxMetadataItem item, bool takesPhysical) => item.IsForeign
        ? item.IsVirtualDisk
        : item.Id == VhdxFormat.VirtualDiskIdItem || (takesPhysical && item.Id == VhdxFormat.PhysicalSectorSizeItem);
}
