using Godwit.Storage.Chains;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <content>What can be told and changed about an image without opening it as a disk.</content>
public sealed partial class VhdxDisk
{
    /// <summary>Tells what an image is. Needs no parent and never writes; a log is applied in memory.</summary>
    /// <param name="file">The image; it stays the caller's.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The description; its allocated bytes are 0, because only the file system knows them.</returns>
    /// <exception cref="StorageException">Corrupt or Unsupported, naming file, offset and reason; or the file failed.</exception>
    public static async ValueTask<ImageDescription> DescribeAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var front = await VhdxImage.OpenFrontAsync(
            file, readOnly: true, new VhdxOpenOptions(), VhdxFindings.Strict(file), cancellationToken).ConfigureAwait(false);
        var metadata = front.Metadata;
        var format = metadata.Parent is not null ? ImageFormat.VhdxDifferencing
            : metadata.IsFixed ? ImageFormat.VhdxFixed : ImageFormat.VhdxDynamic;
        return new ImageDescription(
            format, metadata.DiskSize, 0, metadata.LogicalSectorSize, metadata.PhysicalSectorSize, metadata.BlockSize, metadata.DiskId)
        {
            Linkage = front.Headers.Current.DataWriteGuid,
            Parent = metadata.Parent?.ToLink(),
            LogIsDirty = front.Headers.Current.HasLog,
        };
    }

    /// <summary>Reads the metadata that a differencing image made from this one takes over. Never writes.</summary>
    internal static async ValueTask<IReadOnlyList<VhdxMetadataItem>> ReadInheritedAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var front = await VhdxImage.OpenFrontAsync(
            file, readOnly: true, new VhdxOpenOptions(), VhdxFindings.Strict(file), cancellationToken).ConfigureAwait(false);
        var items = await VhdxMetadata.ReadTableAsync(front.File, front.Regions.Metadata, cancellationToken).ConfigureAwait(false);
        return await items.ReadOfVirtualDiskAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The same of a disk that is open and may be written to meanwhile: none of these items ever changes then.</summary>
    internal async ValueTask<IReadOnlyList<VhdxMetadataItem>> ReadInheritedAsync(CancellationToken cancellationToken)
    {
        var items = await VhdxMetadata.ReadTableAsync(_file, _metadataRegion, cancellationToken).ConfigureAwait(false);
        return await items.ReadOfVirtualDiskAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Changes what a differencing image says about its parent. Whether that parent fits is the caller's to know.</summary>
    /// <remarks>The new text goes to a part of the metadata region that nobody uses and is stable before the one line that points
    /// to it is changed. That line lies within one sector, so a crash at any moment leaves the old parent or the new one, whole.
    /// Keys that Godwit does not know are kept; the disk's content and its <see cref="DataWriteGuid"/> stay as they are.</remarks>
    /// <param name="file">The image, open for writing and by nobody else; it stays the caller's. A log is replayed first.</param>
    /// <param name="parent">The parent; at most one path of each kind.</param>
    /// <param name="options">How to open the image.</param>
    /// <param name="cancellationToken">Gives up before anything has changed.</param>
    /// <exception cref="StorageException">InvalidRequest: the image has no parent, or a path cannot be written; Unsupported: the
    /// metadata region has no room; as for opening; or the file failed.</exception>
    public static async ValueTask SetParentAsync(
        IStorageFile file, ParentLink parent, VhdxOpenOptions options, CancellationToken cancellationToken)
    {
        var front = await VhdxImage.OpenFrontAsync(
            file, readOnly: false, options, VhdxFindings.Strict(file), cancellationToken).ConfigureAwait(false);
        if (front.Metadata.Parent is not VhdxParentLocator old)
            throw Refuse(StorageErrorKind.InvalidRequest, "this disk has no parent that could be changed");
        var item = VhdxParentLocator.From(parent, reason => Refuse(StorageErrorKind.InvalidRequest, reason), old).ToBytes();
        var items = await VhdxMetadata.ReadTableAsync(file, front.Regions.Metadata, cancellationToken).ConfigureAwait(false);
        if (item.Length > VhdxFormat.MaxMetadataItemLength || items.FindRoom(item.Length) is not long room)
            throw Refuse(StorageErrorKind.Unsupported, $"the metadata region has no room for {item.Length} bytes about the new parent");
        var (at, line) = await items.MovedAsync(VhdxFormat.ParentLocatorItem, room, item.Length, cancellationToken).ConfigureAwait(false);

        var header = front.Headers.Current with { FileWriteGuid = options.NewGuid() };
        await front.Headers.UpdateAsync(header, both: true, () => file.FlushAsync(CancellationToken.None)).ConfigureAwait(false);
        await file.WriteAsync(room, item, CancellationToken.None).ConfigureAwait(false);
        await file.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        await file.WriteAsync(at, line, CancellationToken.None).ConfigureAwait(false);
        await file.FlushAsync(CancellationToken.None).ConfigureAwait(false);

        StorageException Refuse(StorageErrorKind kind, string reason) => new(kind, reason, file.Path, operation: "set parent");
    }

    /// <summary>Gives an image the identity that its children record ([MS-VHDX] 2.2.2, DataWriteGuid): for a merge, after which the
    /// image holds what another one held. After a crash it has either the old or the new one.</summary>
    /// <param name="file">The image, open for writing and by nobody else; it stays the caller's. A log is replayed first.</param>
    /// <param name="dataWriteGuid">The identity.</param>
    /// <param name="cancellationToken">Gives up before anything has changed.</param>
    /// <exception cref="StorageException">As for opening, or the file failed.</exception>
    public static async ValueTask SetDataWriteGuidAsync(IStorageFile file, Guid dataWriteGuid, CancellationToken cancellationToken)
    {
        var options = new VhdxOpenOptions();
        var front = await VhdxImage.OpenFrontAsync(
            file, readOnly: false, options, VhdxFindings.Strict(file), cancellationToken).ConfigureAwait(false);
        var header = front.Headers.Current with { FileWriteGuid = options.NewGuid(), DataWriteGuid = dataWriteGuid };
        await front.Headers.UpdateAsync(header, both: true, () => file.FlushAsync(CancellationToken.None)).ConfigureAwait(false);
    }
}
