using System.Buffers.Binary;
using System.Text;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Writes a new, empty image into an empty file.</summary>
/// <remarks>The file's signature comes last, behind a flush: a file whose creation was cut off is not mistaken for an image.</remarks>
internal sealed class VhdxImageWriter
{
    private readonly IStorageFile _file;
    private readonly VhdxCreateOptions _options;
    private readonly int _blockSize;
    private readonly VhdxParentLocator? _parent;
    private readonly VhdxGeometry _geometry;
    private readonly byte[] _items;
    private readonly VhdxRegion _metadata;
    private readonly VhdxRegion _bat;

    public VhdxImageWriter(IStorageFile file, VhdxCreateOptions options)
    {
        _file = file;
        _options = options;
        _blockSize = options.BlockSize ?? (options.Parent is null ? 32 << 20 : 2 << 20);
        Validate();
        _parent = options.Parent is null ? null : VhdxParentLocator.From(options.Parent, Refuse);
        _geometry = new VhdxGeometry(options.Size, _blockSize, options.LogicalSectorSize, _parent is not null);
        _items = Metadata().ToBytes();

        // Room to spare, so that another parent's text finds a place beside this one's.
        var room = VhdxFormat.AlignUp(_items.Length + (2L * VhdxFormat.MetadataTableLength), VhdxFormat.MiB);
        _metadata = new VhdxRegion(VhdxFormat.MetadataRegion, VhdxFormat.HeaderSectionEnd + options.LogSize, room, true);
        _bat = new VhdxRegion(VhdxFormat.BatRegion, _metadata.End, _geometry.TableLength, true);
    }

    public async ValueTask WriteAsync(CancellationToken cancellationToken)
    {
        var payload = _options.Fixed ? _geometry.BlockCount * _blockSize : 0;
        await _file.SetLengthAsync(_bat.End + payload, cancellationToken).ConfigureAwait(false);
        if (_options.Fixed)
            await ReserveAsync(cancellationToken).ConfigureAwait(false);

        var regions = VhdxRegionTable.ToBytes(_bat, _metadata);
        await _file.WriteAsync(VhdxFormat.FirstRegionTableOffset, regions, cancellationToken).ConfigureAwait(false);
        await _file.WriteAsync(VhdxFormat.SecondRegionTableOffset, regions, cancellationToken).ConfigureAwait(false);
        await _file.WriteAsync(_metadata.Offset, _items, cancellationToken).ConfigureAwait(false);
        await WriteHeadersAsync(cancellationToken).ConfigureAwait(false);
        await _file.FlushAsync(cancellationToken).ConfigureAwait(false);
        await _file.WriteAsync(0, Identifier(), cancellationToken).ConfigureAwait(false);
        await _file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private void Validate()
    {
        if (_file.Length != 0)
            throw Refuse($"the file is not empty: it has {_file.Length} bytes");
        if (_options.LogicalSectorSize is not (512 or 4096))
            throw Refuse($"the logical sector size {_options.LogicalSectorSize} is neither 512 nor 4096");
        if (_options.PhysicalSectorSize is not (512 or 4096) || _options.PhysicalSectorSize < _options.LogicalSectorSize)
            throw Refuse($"the physical sector size {_options.PhysicalSectorSize} is neither 512 nor 4096, or below the logical one");
        if (_options.Size is <= 0 or > VhdxFormat.MaxDiskSize || _options.Size % _options.LogicalSectorSize != 0)
            throw Refuse($"the size {_options.Size} is not whole {_options.LogicalSectorSize}-byte sectors up to 64 TiB");
        if (!VhdxFormat.IsPowerOfTwoBetween(_blockSize, VhdxFormat.MinBlockSize, VhdxFormat.MaxBlockSize))
            throw Refuse($"the block size {_blockSize} is not a power of two from 1 to 256 MiB");
        if (_options.Fixed && _options.Parent is not null)
            throw Refuse("a disk with a parent cannot be a fixed one");
        if (_options.LogSize is < 1 << 20 or > 64 << 20 || _options.LogSize % VhdxFormat.MiB != 0)
            throw Refuse($"the log size {_options.LogSize} is not a multiple of 1 MiB up to 64 MiB");
    }

    private StorageException Refuse(string reason) => new(StorageErrorKind.InvalidRequest, reason, _file.Path, operation: "create");

    private VhdxMetadata Metadata() => new()
    {
        BlockSize = _blockSize,
        LeaveBlocksAllocated = _options.Fixed,
        DiskSize = _options.Size,
        DiskId = _options.DiskId ?? _options.NewGuid(),
        LogicalSectorSize = _options.LogicalSectorSize,
        PhysicalSectorSize = _options.PhysicalSectorSize,
        Parent = _parent,
        Others = _options.Metadata,
    };

    private async ValueTask WriteHeadersAsync(CancellationToken cancellationToken)
    {
        var header = new VhdxHeader(
            1, _options.NewGuid(), _options.NewGuid(), Guid.Empty, 0, 1, (uint)_options.LogSize, VhdxFormat.HeaderSectionEnd);
        await _file.WriteAsync(VhdxFormat.FirstHeaderOffset, header.ToBytes(), cancellationToken).ConfigureAwait(false);
        await _file.WriteAsync(VhdxFormat.SecondHeaderOffset, (header with { Sequence = 2 }).ToBytes(), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Reserves the blocks of a fixed disk and lists them in the table.</summary>
    private async ValueTask ReserveAsync(CancellationToken cancellationToken)
    {
        const long Step = 1L << 30;
        for (var at = _bat.End; at < _file.Length; at += Step)
            await _file.AllocateZeroesAsync(at, Math.Min(Step, _file.Length - at), cancellationToken).ConfigureAwait(false);

        var part = new byte[64 << 10];
        for (long first = 0; first < _geometry.EntryCount; first += part.Length / sizeof(ulong))
        {
            for (var index = 0; index < part.Length / sizeof(ulong); index++)
                BinaryPrimitives.WriteUInt64LittleEndian(part.AsSpan(index * sizeof(ulong)), FixedEntry(first + index).Raw);
            await _file.WriteAsync(_bat.Offset + (first * sizeof(ulong)), part, cancellationToken).ConfigureAwait(false);
        }
    }

    private BatEntry FixedEntry(long entry) => entry >= _geometry.EntryCount || _geometry.IsBitmapEntry(entry)
        ? default
        : new BatEntry(BlockState.FullyPresent, _bat.End + (_geometry.BlockOf(entry) * _blockSize));

    private static byte[] Identifier()
    {
        var bytes = new byte[VhdxFormat.IdentifierLength];
        VhdxFormat.FileSignature.CopyTo(bytes);
        var version = typeof(VhdxImageWriter).Assembly.GetName().Version?.ToString(3);
        Encoding.Unicode.GetBytes($"Godwit {version}", bytes.AsSpan(VhdxFormat.FileSignature.Length));
        return bytes;
    }
}
