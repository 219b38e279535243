using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Raw;

/// <summary>A disk whose bytes are the file's bytes, one to one.</summary>
/// <remarks>Needs no lock of its own: the file orders overlapping requests. Reads and writes complete synchronously when
/// the file's do and allocate nothing.</remarks>
public sealed class RawDisk : BlockDevice, IPunchableDisk
{
    /// <summary>Logical sector size of every raw disk, in bytes.</summary>
    public const int Sector = 512;

    private readonly IStorageFile _file;
    private bool _disposed;

    private RawDisk(IStorageFile file)
        : base(file.Length, DiskCapabilities.Default with { ReadOnly = file.IsReadOnly, CanResize = !file.IsReadOnly }) => _file = file;

    /// <inheritdoc/>
    public override string? Path => _file.Path;

    /// <summary>Opens a file as a disk.</summary>
    /// <param name="file">The file; owned from now on, and stays the caller's when this throws.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.Corrupt"/>: the file is not whole 512-byte sectors.</exception>
    public static RawDisk Open(IStorageFile file)
    {
        CheckLength(file);
        return new RawDisk(file);
    }

    /// <summary>What a file is as a disk.</summary>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.Corrupt"/>: the file is not whole 512-byte sectors.</exception>
    internal static ImageDescription Describe(IStorageFile file)
    {
        CheckLength(file);
        return new ImageDescription(ImageFormat.Raw, file.Length, 0, Sector, DiskCapabilities.Default.PhysicalSectorSize, null, null);
    }

    /// <summary>Makes an empty file a disk that reads as zeroes and takes up no space.</summary>
    /// <param name="file">An empty file; stays the caller's.</param>
    /// <param name="size">Bytes; a multiple of 512.</param>
    /// <param name="cancellationToken">Gives up between steps.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.InvalidRequest"/>: the size is negative or not whole
    /// sectors, or the file is not empty; or the file failed.</exception>
    public static async ValueTask CreateAsync(IStorageFile file, long size, CancellationToken cancellationToken)
    {
        if (size < 0 || size % Sector != 0)
            throw Invalid(file, $"size {size} is not whole {Sector}-byte sectors");
        if (file.Length != 0)
            throw Invalid(file, "the file is not empty");
        await file.SetLengthAsync(size, cancellationToken).ConfigureAwait(false);
        await file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        var first = !_disposed;
        _disposed = true;
        try
        {
            if (first && !Capabilities.ReadOnly)
                await _file.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            await _file.DisposeAsync().ConfigureAwait(false);
            await base.DisposeAsync().ConfigureAwait(false);
        }
    }

    ValueTask IPunchableDisk.PunchAsync(long offset, long length, CancellationToken cancellationToken) =>
        _file.PunchHoleAsync(offset, length, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        _file.ReadAsync(offset, buffer, cancellationToken);

    /// <inheritdoc/>
    protected override int TryMoveToPipeCore(long offset, int length, int pipe) => _file.TryMoveToPipe(offset, length, pipe);

    /// <inheritdoc/>
    protected override bool TryMoveFromPipeCore(long offset, int length, int pipe) => _file.TryMoveFromPipe(offset, length, pipe);

    /// <inheritdoc/>
    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        var written = _file.WriteAsync(offset, buffer, cancellationToken);
        return (flags & WriteFlags.ForceUnitAccess) == 0 ? written : ThenFlushAsync(written, cancellationToken);
    }

    /// <inheritdoc/>
    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) => _file.FlushAsync(cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        _file.PunchHoleAsync(offset, length, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteZeroesCoreAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        var zeroed = (flags & WriteFlags.KeepAllocated) != 0
            ? _file.AllocateZeroesAsync(offset, length, cancellationToken)
            : _file.PunchHoleAsync(offset, length, cancellationToken);
        return (flags & WriteFlags.ForceUnitAccess) == 0 ? zeroed : ThenFlushAsync(zeroed, cancellationToken);
    }

    /// <inheritdoc/>
    protected override ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        var found = _file.GetExtentAsync(offset, length, cancellationToken);
        return found.IsCompletedSuccessfully
            ? new ValueTask<Extent>(WholeSectors(found.Result, offset, length))
            : WholeSectorsAsync(found, offset, length);
    }

    /// <inheritdoc/>
    protected override ValueTask ResizeCoreAsync(long length, CancellationToken cancellationToken) =>
        _file.SetLengthAsync(length, cancellationToken);

    /// <summary>Cuts a raw disk off. One step: the file has the old length or the new one.</summary>
    /// <param name="file">The file; it stays the caller's.</param>
    /// <param name="length">The new size: whole sectors, not above the present one.</param>
    /// <param name="cancellationToken">Gives up before anything has changed.</param>
    /// <exception cref="StorageException">InvalidRequest for the size; or the file failed.</exception>
    internal static async ValueTask ShrinkAsync(IStorageFile file, long length, CancellationToken cancellationToken)
    {
        if (length <= 0 || length > file.Length || length % Sector != 0)
        {
            throw new StorageException(StorageErrorKind.InvalidRequest,
                $"the size {length} is not whole {Sector}-byte sectors up to {file.Length}", file.Path, operation: "resize");
        }

        if (length == file.Length)
            return;
        await file.SetLengthAsync(length, cancellationToken).ConfigureAwait(false);
        await file.FlushAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private static void CheckLength(IStorageFile file)
    {
        if (file.Length % Sector == 0)
            return;
        throw new StorageException(
            StorageErrorKind.Corrupt,
            $"{file.Length} bytes are not whole {Sector}-byte sectors, so this is no raw disk or a part of it is missing; "
            + $"if it is complete, grow it to {(file.Length / Sector * Sector) + Sector} bytes",
            file.Path,
            operation: "open");
    }

    private static StorageException Invalid(IStorageFile file, string reason) =>
        new(StorageErrorKind.InvalidRequest, reason, file.Path, operation: "create");

    private async ValueTask ThenFlushAsync(ValueTask change, CancellationToken cancellationToken)
    {
        await change.ConfigureAwait(false);
        await _file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask<Extent> WholeSectorsAsync(ValueTask<Extent> found, long offset, long length) =>
        WholeSectors(await found.ConfigureAwait(false), offset, length);

    /// <summary>A file system may find holes at any byte: data is rounded outwards, the rest inwards.</summary>
    private static Extent WholeSectors(Extent found, long offset, long length)
    {
        var whole = found.Length & -Sector;
        if (whole == found.Length)
            return found;
        if (found.ReadsAsZeroes && whole > 0)
            return found with { Length = whole };
        return new Extent(offset, Math.Min(whole + Sector, length), ExtentKind.Data);
    }
}
