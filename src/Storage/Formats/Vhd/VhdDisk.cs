using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Locking;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>A VHD, fixed, dynamic or differencing, as a block device.</summary>
/// <remarks>
/// <para>Reads take no lock. Changes of a dynamic or differencing disk take the range lock for their range; a write to a block
/// without a place takes it for the whole block. A fixed disk needs no lock: the file orders overlapping requests.</para>
/// <para>The order of writes and the reasons are in docs/design/vhd.md. Format: VHD specification 1.0.</para>
/// </remarks>
public sealed partial class VhdDisk : BlockDevice, ILayer
{
    private readonly IStorageFile _file;
    private readonly VhdSession _session;
    private readonly VhdPlaces? _places;
    private readonly VhdTail? _tail;
    private readonly VhdBitmaps? _bitmaps;
    private readonly VhdBlockTable? _table;
    private readonly ParentView? _parent;
    private readonly long _parentLength;
    private readonly RangeLock _locks = new();
    private long _metadataEnd;
    private VhdBlocks? _blocks;
    private VhdDynamicHeader? _header;
    private VhdFooters _footers;
    private bool _disposed;

    private VhdDisk(IStorageFile file, VhdImage image, VhdOpenOptions options, bool readOnly)
        : base(image.DiskSize, new DiskCapabilities(VhdFormat.Sector, 4096, readOnly, TrimResult.Zeroes, CanResize: !readOnly))
    {
        _file = file;
        _footers = image.Footers;
        if (image.Sparse is VhdSparseImage sparse)
        {
            _header = sparse.Header;
            _table = sparse.Table;
            _blocks = sparse.Blocks;
            _metadataEnd = sparse.Layout.MetadataEnd;
            _bitmaps = new VhdBitmaps(file, sparse.Blocks);
            _places = new VhdPlaces(file, sparse.Blocks, hasParent: options.Parent is not null);
            if (!readOnly)
                _places.AddGaps(sparse.Layout.Gaps);
        }

        _session = new VhdSession(file, _places, options.ReusedPerFlush);
        if (_places is not null)
            _tail = new VhdTail(file, image.Footers, _session, _places, options.Headroom);
        if (options.Parent is BlockDevice parent)
        {
            _parentLength = parent.Length;
            _parent = new ParentView(parent, VhdFormat.Sector);
        }
    }

    /// <inheritdoc/>
    public override string? Path => _file.Path;

    /// <summary>Bytes per block; null for a fixed disk.</summary>
    public int? BlockSize => _blocks?.Size;

    int ILayer.BlockLength => BlockSize ?? 0;

    ParentView? ILayer.Beneath => _parent;

    /// <summary>Every byte has its place in the file.</summary>
    public bool IsFixed => _table is null;

    /// <summary>Identifies the disk to its children.</summary>
    public Guid DiskId => _footers.Current.Id;

    /// <summary>Opens an image.</summary>
    /// <param name="file">The image; owned by the disk when this succeeds, still the caller's when it throws.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">Corrupt, naming file, offset and reason; Unsupported for what this version does not
    /// offer; InvalidRequest for a parent that is missing or not wanted; or the file failed. A torn end is repaired when the
    /// disk is opened for writing, otherwise nothing is written.</exception>
    public static async ValueTask<VhdDisk> OpenAsync(IStorageFile file, VhdOpenOptions options, CancellationToken cancellationToken)
    {
        var readOnly = options.ReadOnly || file.IsReadOnly;
        var image = await VhdImage.OpenAsync(file, cancellationToken).ConfigureAwait(false);
        if (options.Parent is null == (image.Footer.Kind == VhdKind.Differencing))
        {
            throw new StorageException(
                StorageErrorKind.InvalidRequest,
                options.Parent is null ? "this is a differencing disk: its parent is needed to open it" : "this is no differencing disk, but a parent was given",
                file.Path,
                operation: "open");
        }

        if (!readOnly)
            image = await VhdRepair.RunAsync(file, image, cancellationToken).ConfigureAwait(false);
        return new VhdDisk(file, image, options, readOnly);
    }

    /// <summary>Writes a new, empty image. Stable when this returns.</summary>
    /// <param name="file">An empty file, open for writing; it stays the caller's, who deletes it when this throws.</param>
    /// <param name="options">What it is to be.</param>
    /// <param name="cancellationToken">Leaves a file that is no image.</param>
    /// <exception cref="StorageException">InvalidRequest for values outside the format's limits; NoSpace; or the file failed.</exception>
    public static ValueTask CreateAsync(IStorageFile file, VhdCreateOptions options, CancellationToken cancellationToken) =>
        new VhdImageWriter(file, options).WriteAsync(cancellationToken);

    /// <summary>Tells what an image is. Needs no parent and writes nothing.</summary>
    /// <param name="file">The image; it stays the caller's.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The description; <see cref="ImageDescription.AllocatedBytes"/> is 0, the caller knows the file.</returns>
    /// <exception cref="StorageException">Corrupt or Unsupported, naming file, offset and reason; or the file failed.</exception>
    public static ValueTask<ImageDescription> DescribeAsync(IStorageFile file, CancellationToken cancellationToken) =>
        VhdDescription.ReadAsync(file, cancellationToken);

    /// <summary>Writes another parent, or other paths to it, into a differencing disk. Stable when this returns; a crash
    /// leaves the old parent or the new one.</summary>
    /// <param name="file">The image, open for writing and not open as a disk; it stays the caller's.</param>
    /// <param name="parent">Identity, time stamp and paths of the parent.</param>
    /// <param name="parentName">Its bare file name, up to 256 characters.</param>
    /// <param name="cancellationToken">Gives up; the old parent or the new one is in force.</param>
    /// <exception cref="StorageException">InvalidRequest: no differencing disk, or paths that do not fit; Corrupt; or the file
    /// failed.</exception>
    public static ValueTask SetParentAsync(IStorageFile file, ParentLink parent, string parentName, CancellationToken cancellationToken) =>
        VhdRelink.RunAsync(file, parent, parentName, cancellationToken);

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        var first = !_disposed;
        _disposed = true;
        try
        {
            if (first && !Capabilities.ReadOnly)
                await EndAsync().ConfigureAwait(false);
        }
        finally
        {
            _tail?.Dispose();
            _bitmaps?.Dispose();
            await _file.DisposeAsync().ConfigureAwait(false);
            if (_parent is not null)
                await _parent.DisposeAsync().ConfigureAwait(false);
            await base.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) =>
        IsFixed ? _file.FlushAsync(cancellationToken) : _session.FlushAsync();

    /// <summary>Leaves a file whose footer is behind its last block. A disk that was not changed is not written at all.</summary>
    private async ValueTask EndAsync()
    {
        if (_table is null)
        {
            // As the waist promises: what was written survives a power cut once the disk is closed.
            await _file.FlushAsync(CancellationToken.None).ConfigureAwait(false);
            return;
        }

        if (!_session.IsReady)
            return;
        if (!_session.HasChanged)
        {
            // A killed process may have written what it had acknowledged.
            await _session.FlushAsync().ConfigureAwait(false);
            return;
        }

        await _session.EndAsync().ConfigureAwait(false);
        await _tail!.TrimAsync(VhdRepair.LastUsed(_table, _blocks!, _metadataEnd)).ConfigureAwait(false);
    }
}
