using Godwit.Storage.Files;

namespace Godwit.Storage.Operations;

/// <summary>The bytes of a file as a device with sectors of one byte, whatever they mean: for copies that keep every byte.</summary>
/// <remarks>Reads and writes complete synchronously when the file's do. Safe from any thread.</remarks>
public sealed class WholeFile : BlockDevice
{
    private readonly IStorageFile _file;

    private WholeFile(IStorageFile file)
        : base(file.Length, new DiskCapabilities(1, 4096, file.IsReadOnly, TrimResult.Zeroes, CanResize: false)) => _file = file;

    /// <inheritdoc/>
    public override string? Path => _file.Path;

    /// <summary>Opens a file.</summary>
    /// <param name="path">The file or block device; any content.</param>
    /// <param name="readOnly">Opens for reading only, which others may do at the same time.</param>
    /// <param name="bypassCache">See <see cref="LocalFile.Open"/>.</param>
    /// <exception cref="StorageException">It could not be opened: NotFound, AccessDenied, InUse.</exception>
    public static WholeFile Open(string path, bool readOnly, bool bypassCache = false) => new(LocalFile.Open(path, readOnly, bypassCache));

    /// <summary>A device over a file that is open; disposing it disposes the file.</summary>
    internal static WholeFile Over(IStorageFile file) => new(file);

    /// <summary>Creates a file of a size that reads as zeroes and takes up no space; a failure leaves none.</summary>
    /// <param name="path">The file; must not exist.</param>
    /// <param name="size">Bytes.</param>
    /// <param name="cancellationToken">Gives up and removes the file.</param>
    /// <exception cref="StorageException">AlreadyExists, NotFound for the folder, AccessDenied, NoSpace.</exception>
    public static async ValueTask CreateAsync(string path, long size, CancellationToken cancellationToken)
    {
        var file = LocalFile.Create(path);
        try
        {
            await using (file.ConfigureAwait(false))
                await file.SetLengthAsync(size, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            LocalFolder.Remove(path);
            throw;
        }
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await _file.DisposeAsync().ConfigureAwait(false);
        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        _file.ReadAsync(offset, buffer, cancellationToken);

    /// <inheritdoc/>
    protected override async ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        await _file.WriteAsync(offset, buffer, cancellationToken).ConfigureAwait(false);
        if ((flags & WriteFlags.ForceUnitAccess) != 0)
            await _file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) => _file.FlushAsync(cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        _file.PunchHoleAsync(offset, length, cancellationToken);

    /// <inheritdoc/>
    protected override async ValueTask WriteZeroesCoreAsync(
        long offset, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        if ((flags & WriteFlags.KeepAllocated) != 0)
            await _file.AllocateZeroesAsync(offset, length, cancellationToken).ConfigureAwait(false);
        else
            await _file.PunchHoleAsync(offset, length, cancellationToken).ConfigureAwait(false);
        if ((flags & WriteFlags.ForceUnitAccess) != 0)
            await _file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        _file.GetExtentAsync(offset, length, cancellationToken);
}
