using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Locking;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>A VHDX, fixed, dynamic or differencing, as a block device.</summary>
/// <remarks>
/// <para>Reads take no lock. Writes, trims and zeroing take the range lock for their range; a write to a block without a
/// place takes it for the whole block, so that a second write there waits for the first one's log entry.</para>
/// <para>The order of writes and the reasons are in docs/design/vhdx.md. Format: [MS-VHDX].</para>
/// </remarks>
public sealed partial class VhdxDisk : BlockDevice, ILayer
{
    private readonly IStorageFile _file;
    private readonly VhdxMetadata _metadata;
    private readonly VhdxHeaders _headers;
    private readonly BlockAllocationTable _table;
    private readonly VhdxRegion _batRegion;
    private readonly VhdxRegion _metadataRegion;
    private readonly SectorBitmaps? _bitmaps;
    private readonly ParentView? _parent;
    private readonly long _parentLength;
    private readonly VhdxSpace _space;
    private readonly VhdxSession _session;
    private readonly RangeLock _locks = new();
    private bool _disposed;

    private VhdxDisk(VhdxImage image, VhdxOpenOptions options, bool readOnly)
        : base(image.Metadata.DiskSize, new DiskCapabilities(
            image.Metadata.LogicalSectorSize,
            Math.Max(image.Metadata.LogicalSectorSize, image.Metadata.PhysicalSectorSize),
            readOnly,
            TrimResult.Zeroes,
            CanResize: !readOnly && !image.Metadata.IsFixed))
    {
        _file = image.File;
        _metadata = image.Metadata;
        _headers = image.Headers;
        _table = image.Table;
        _batRegion = image.Regions.Bat;
        _metadataRegion = image.Regions.Metadata;
        _fixedRanges = image.Layout.Fixed;
        _space = VhdxSpace.Of(image, options);
        if (options.Parent is BlockDevice parent)
        {
            _bitmaps = new SectorBitmaps(_file, _table, options.BitmapPages);
            foreach (var (number, page) in image.LeftBitmaps)
                _bitmaps.Restore(number, page.Image, image.Left!.Sequence);
            _parent = new ParentView(parent, image.Metadata.LogicalSectorSize);
            _parentLength = parent.Length;
        }

        _session = new VhdxSession(_file, _headers, _table, _bitmaps, _space, options, image.Left);
        if (!readOnly)
            _space.AddGaps(image.Layout.Gaps);
    }

    /// <inheritdoc/>
    public override string? Path => _file.Path;

    /// <summary>Bytes per block.</summary>
    public int BlockSize => _metadata.BlockSize;

    int ILayer.BlockLength => BlockSize;

    ParentView? ILayer.Beneath => _parent;

    /// <summary>Every block keeps its place in the file.</summary>
    public bool IsFixed => _metadata.IsFixed;

    /// <summary>What the file says about its parent; null for a disk without one.</summary>
    public ParentLink? Parent => _metadata.Parent?.ToLink();

    /// <summary>Identifies the disk to the guest; stays the same when the disk is moved.</summary>
    public Guid DiskId => _metadata.DiskId;

    /// <summary>Changes when a session changes what the guest can read.</summary>
    public Guid DataWriteGuid => _headers.Current.DataWriteGuid;

    /// <summary>The image's file; stays the disk's.</summary>
    internal IStorageFile File => _file;

    /// <summary>Gives the disk another <see cref="DataWriteGuid"/>, as its first change does, unless that has happened already.</summary>
    /// <exception cref="StorageException">A header could not be written.</exception>
    internal ValueTask BeginSessionAsync() => _session.PrepareAsync(CancellationToken.None);

    private VhdxGeometry Geometry => _table.Geometry;

    /// <summary>Opens an image.</summary>
    /// <param name="file">The image; owned by the disk when this succeeds, still the caller's when it throws.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellationToken">Gives up; a replay that was begun is done again by the next open.</param>
    /// <exception cref="StorageException">Corrupt, naming file, offset and reason; Unsupported for what this version does not
    /// offer; InvalidRequest: a parent is missing, or one is given and the disk has none; or the file failed. A log is replayed
    /// before the table is examined, otherwise nothing is written.</exception>
    public static async ValueTask<VhdxDisk> OpenAsync(IStorageFile file, VhdxOpenOptions options, CancellationToken cancellationToken)
    {
        var readOnly = options.ReadOnly || file.IsReadOnly;
        var image = readOnly
            ? await VhdxImage.OpenAsync(file, readOnly, options, VhdxFindings.Strict(file), cancellationToken).ConfigureAwait(false)
            : await VhdxImage.ContinueAsync(file, options, cancellationToken).ConfigureAwait(false);
        if (image.Metadata.Parent is null != options.Parent is null)
        {
            throw new StorageException(StorageErrorKind.InvalidRequest,
                options.Parent is null
                    ? "this is a differencing disk, which shows nothing without its parent; open the chain it belongs to"
                    : "this disk has no parent, but one was given",
                file.Path, operation: "open");
        }

        return new VhdxDisk(image, options, readOnly);
    }

    /// <summary>Writes a new, empty image. Stable when this returns.</summary>
    /// <param name="file">An empty file, open for writing; it stays the caller's, who deletes it when this throws.</param>
    /// <param name="options">What it is to be.</param>
    /// <param name="cancellationToken">Leaves a file that is no image.</param>
    /// <exception cref="StorageException">InvalidRequest for values outside the format's limits; NoSpace; or the file failed.</exception>
    public static ValueTask CreateAsync(IStorageFile file, VhdxCreateOptions options, CancellationToken cancellationToken) =>
        new VhdxImageWriter(file, options).WriteAsync(cancellationToken);

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        var first = !_disposed;
        _disposed = true;
        try
        {
            if (first && !Capabilities.ReadOnly)
                await _session.EndAsync().ConfigureAwait(false);
        }
        finally
        {
            _session.Dispose();
            _addingBitmap.Dispose();
            await _file.DisposeAsync().ConfigureAwait(false);
            if (_parent is not null)
                await _parent.DisposeAsync().ConfigureAwait(false);
            await base.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) => _session.FlushAsync();
}
