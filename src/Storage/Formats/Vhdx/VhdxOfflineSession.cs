using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>An image opened to change its structures, while nobody has it open as a disk. A parent is not needed.</summary>
/// <remarks>Not thread-safe. The file stays the caller's.</remarks>
internal sealed class VhdxOfflineSession : IDisposable
{
    private readonly VhdxSession _session;

    private VhdxOfflineSession(VhdxImage image, VhdxOpenOptions options)
    {
        Image = image;
        _session = new VhdxSession(
            image.File, image.Headers, image.Table, bitmaps: null, VhdxSpace.Of(image, options), options);
    }

    /// <summary>What was read. The table is kept up to date by the changes, the layout is not.</summary>
    public VhdxImage Image { get; }

    /// <summary>Logs the changes.</summary>
    public VhdxSession Session => _session;

    /// <summary>Opens an image; a log is replayed first.</summary>
    /// <exception cref="StorageException">As for opening it as a disk.</exception>
    public static async ValueTask<VhdxOfflineSession> OpenAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var options = new VhdxOpenOptions();
        var image = await VhdxImage.OpenAsync(
            file, readOnly: false, options, VhdxFindings.Strict(file), cancellationToken).ConfigureAwait(false);
        return new VhdxOfflineSession(image, options);
    }

    /// <summary>Logs another size of the disk ([MS-VHDX] 2.6.2.2, virtual disk size).</summary>
    public async ValueTask SetDiskSizeAsync(long length, CancellationToken cancellationToken)
    {
        await _session.PrepareAsync(cancellationToken).ConfigureAwait(false);
        var size = new byte[sizeof(long)];
        System.Buffers.Binary.BinaryPrimitives.WriteInt64LittleEndian(size, length);
        await _session.CommitBytesAsync(Image.Metadata.DiskSizeOffset, size).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public void Dispose() => _session.Dispose();
}
