namespace Godwit.Storage;

/// <summary>
/// Anything with sectors that can be read and written: an image file, a mirror, a remote export.
/// </summary>
/// <remarks>
/// <para>The waist of the disk stack. The public methods check range, alignment and capability once; the protected
/// <c>…Core</c> methods may rely on it. A device may grow while it is open but never shrink, so one check cannot go stale.</para>
/// <para>Offsets and lengths are bytes and multiples of <see cref="DiskCapabilities.SectorSize"/>. All members may be
/// called at the same time from any thread; overlapping writes take effect in some order, each whole per sector.
/// A buffer belongs to the device until the returned task has completed, then to the caller again.</para>
/// <para>Durability: a completed write survives the death of this process; a write completed before a
/// <see cref="FlushAsync"/> started survives a power cut once that flush has completed.</para>
/// <para>The returned tasks complete synchronously when the page cache can answer. Await each exactly once.</para>
/// </remarks>
public abstract class BlockDevice : IAsyncDisposable
{
    private long _length;
    private int _resizing;

    /// <summary>Creates the device.</summary>
    /// <param name="length">Size in bytes; a multiple of the sector size.</param>
    /// <param name="capabilities">What the device can do.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.InvalidRequest"/>: the size is negative or not a
    /// multiple of the sector size.</exception>
    protected BlockDevice(long length, DiskCapabilities capabilities)
    {
        if (length < 0 || length % capabilities.SectorSize != 0)
        {
            throw new StorageException(
                StorageErrorKind.InvalidRequest, $"size {length} is not a multiple of the {capabilities.SectorSize}-byte sector");
        }

        _length = length;
        Capabilities = capabilities;
    }

    /// <summary>Size in bytes. Only ever grows while the device is open.</summary>
    public long Length => Volatile.Read(ref _length);

    /// <summary>What the device can do; the same for its whole life.</summary>
    public DiskCapabilities Capabilities { get; }

    /// <summary>The file or address behind the device, for messages; null when there is none.</summary>
    public virtual string? Path => null;

    /// <summary>Reads a range.</summary>
    /// <param name="offset">First byte; a multiple of the sector size.</param>
    /// <param name="buffer">Filled completely; its length is a multiple of the sector size.</param>
    /// <param name="cancellationToken">Gives up waiting where the device can; the buffer's content is then undefined.</param>
    /// <exception cref="StorageException">The range is invalid, or the device failed.</exception>
    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        CheckRange(offset, buffer.Length, "read");
        return buffer.IsEmpty ? ValueTask.CompletedTask : ReadCoreAsync(offset, buffer, cancellationToken);
    }

    /// <summary>Writes a range.</summary>
    /// <param name="offset">First byte; a multiple of the sector size.</param>
    /// <param name="buffer">Written completely; its length is a multiple of the sector size.</param>
    /// <param name="flags">How to acknowledge.</param>
    /// <param name="cancellationToken">Gives up waiting where the device can; the range is then undefined.</param>
    /// <exception cref="StorageException">The range is invalid, the device is read-only, or it failed.</exception>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        CheckRange(offset, buffer.Length, "write");
        CheckWritable("write");
        return buffer.IsEmpty ? ValueTask.CompletedTask : WriteCoreAsync(offset, buffer, flags, cancellationToken);
    }

    /// <summary>Moves a range into a pipe without copying it, when it lies in one piece in the page cache of a file of this computer.</summary>
    /// <param name="offset">First byte; a multiple of the sector size.</param>
    /// <param name="length">Bytes; a multiple of the sector size, not more than the pipe has room for.</param>
    /// <param name="pipe">Descriptor of the end to write to; the caller's, who is the only one to use it.</param>
    /// <returns>Bytes moved. When fewer than asked for, the range has to be read and what is in the pipe thrown away: some devices,
    /// and all that would have to wait, move nothing.</returns>
    /// <remarks>The pipe holds the file's pages themselves: a write to the same range that comes before their reader has taken them
    /// shows in them, as in a read that runs at the same time.</remarks>
    /// <exception cref="StorageException">The range is invalid.</exception>
    public int TryMoveToPipe(long offset, int length, int pipe)
    {
        CheckRange(offset, length, "read");
        return length == 0 ? 0 : TryMoveToPipeCore(offset, length, pipe);
    }

    /// <summary>Writes what a pipe holds without taking it through this program's memory, where the device can do that at once.</summary>
    /// <param name="offset">First byte; a multiple of the sector size.</param>
    /// <param name="length">Bytes; a multiple of the sector size, all of them in the pipe already.</param>
    /// <param name="pipe">Descriptor of the end to read from; the caller's, who is the only one to use it.</param>
    /// <returns>True: written, as by <see cref="WriteAsync"/> without flags. False: nothing has been taken; read the pipe and write.</returns>
    /// <exception cref="StorageException">The range is invalid, the device is read-only, or it failed; the range is then undefined and a rest
    /// may be in the pipe.</exception>
    public bool TryMoveFromPipe(long offset, int length, int pipe)
    {
        CheckRange(offset, length, "write");
        CheckWritable("write");
        return length == 0 || TryMoveFromPipeCore(offset, length, pipe);
    }

    /// <summary>Makes every write that has completed before this call survive a power cut.</summary>
    /// <param name="cancellationToken">Gives up waiting; nothing is then promised.</param>
    /// <exception cref="StorageException">The device failed; what was written since the last flush may be lost.</exception>
    public ValueTask FlushAsync(CancellationToken cancellationToken) =>
        Capabilities.ReadOnly ? ValueTask.CompletedTask : FlushCoreAsync(cancellationToken);

    /// <summary>Says that a range is not needed any more; see <see cref="DiskCapabilities.Trim"/> for what it reads as.</summary>
    /// <param name="offset">First byte; a multiple of the sector size.</param>
    /// <param name="length">Bytes; a multiple of the sector size.</param>
    /// <param name="cancellationToken">Gives up waiting where the device can.</param>
    /// <exception cref="StorageException">The range is invalid, the device is read-only, or it failed.</exception>
    public ValueTask TrimAsync(long offset, long length, CancellationToken cancellationToken)
    {
        CheckRange(offset, length, "trim");
        CheckWritable("trim");
        return length == 0 || Capabilities.Trim == TrimResult.Ignored
            ? ValueTask.CompletedTask
            : TrimCoreAsync(offset, length, cancellationToken);
    }

    /// <summary>Makes a range read as zeroes, by giving its space back where the device can.</summary>
    /// <param name="offset">First byte; a multiple of the sector size.</param>
    /// <param name="length">Bytes; a multiple of the sector size.</param>
    /// <param name="flags">How to acknowledge, and whether the space must stay allocated.</param>
    /// <param name="cancellationToken">Gives up waiting where the device can; the range is then undefined.</param>
    /// <exception cref="StorageException">The range is invalid, the device is read-only, or it failed.</exception>
    public ValueTask WriteZeroesAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        CheckRange(offset, length, "write zeroes");
        CheckWritable("write zeroes");
        return length == 0 ? ValueTask.CompletedTask : WriteZeroesCoreAsync(offset, length, flags, cancellationToken);
    }

    /// <summary>Tells what the start of a range holds.</summary>
    /// <param name="offset">First byte; a multiple of the sector size, below <see cref="Length"/>.</param>
    /// <param name="length">Bytes the caller is interested in; a multiple of the sector size, above zero.</param>
    /// <param name="cancellationToken">Gives up waiting where the device can.</param>
    /// <returns>The run that starts at <paramref name="offset"/>, cut to <paramref name="length"/>. The next run may be of
    /// the same kind. What holds data may be reported as data though it is zero, never the other way round.</returns>
    /// <exception cref="StorageException">The range is invalid, or the device failed.</exception>
    public ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken)
    {
        CheckRange(offset, length, "extent");
        if (length == 0)
            throw new StorageException(StorageErrorKind.InvalidRequest, "an empty range has no extent", Path, offset, "extent");
        return GetExtentCoreAsync(offset, length, cancellationToken);
    }

    /// <summary>Makes the device larger; the new space reads as zeroes.</summary>
    /// <param name="length">The new size in bytes; a multiple of the sector size, at least <see cref="Length"/>.</param>
    /// <param name="cancellationToken">Gives up waiting where the device can.</param>
    /// <exception cref="StorageException">The size is smaller or invalid, the device cannot grow, or it failed;
    /// <see cref="StorageErrorKind.InUse"/> while another call is at it.</exception>
    public async ValueTask ResizeAsync(long length, CancellationToken cancellationToken)
    {
        CheckWritable("resize");
        if (!Capabilities.CanResize)
            throw new StorageException(StorageErrorKind.Unsupported, "this device cannot be resized", Path, operation: "resize");

        // Two at once could end with the smaller size.
        if (Interlocked.CompareExchange(ref _resizing, 1, 0) != 0)
            throw new StorageException(StorageErrorKind.InUse, "the device is being resized already", Path, operation: "resize");
        try
        {
            CheckNewLength(length);
            await ResizeCoreAsync(length, cancellationToken).ConfigureAwait(false);
            Volatile.Write(ref _length, length);
        }
        finally
        {
            Volatile.Write(ref _resizing, 0);
        }
    }

    /// <summary>Makes what was written survive a power cut where that can be done, and lets go of files and memory.
    /// The caller has seen every other call complete. May be called again without effect.</summary>
    public virtual ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>Reads; range and alignment are checked, the buffer is not empty.</summary>
    protected abstract ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Moves a checked range that is not empty. A device that does not know better moves nothing: whoever looks at, delays or
    /// counts reads must see them all.</summary>
    protected virtual int TryMoveToPipeCore(long offset, int length, int pipe) => 0;

    /// <summary>Writes a checked range that is not empty from a pipe. A device that does not know better takes nothing: whoever looks at,
    /// delays or counts writes must see them all.</summary>
    protected virtual bool TryMoveFromPipeCore(long offset, int length, int pipe) => false;

    /// <summary>Writes; range, alignment and capability are checked, the buffer is not empty.</summary>
    protected abstract ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken);

    /// <summary>Flushes; never called on a read-only device.</summary>
    protected abstract ValueTask FlushCoreAsync(CancellationToken cancellationToken);

    /// <summary>Trims; the range is checked and not empty. Never called when <see cref="DiskCapabilities.Trim"/> is ignored.</summary>
    protected abstract ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken);

    /// <summary>Zeroes; the range is checked and not empty.</summary>
    protected abstract ValueTask WriteZeroesCoreAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken);

    /// <summary>Answers for the start of a checked range that is not empty.</summary>
    protected abstract ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken);

    /// <summary>Grows to a checked size; only called when <see cref="DiskCapabilities.CanResize"/> is set.</summary>
    protected virtual ValueTask ResizeCoreAsync(long length, CancellationToken cancellationToken) =>
        throw new StorageException(StorageErrorKind.Unsupported, "this device cannot be resized", Path, operation: "resize");

    private void CheckRange(long offset, long length, string operation)
    {
        // Length is at most 2^63-1 and offset is not above it, so the subtraction cannot overflow.
        if ((ulong)offset > (ulong)Length || (ulong)length > (ulong)(Length - offset))
            throw OutOfRange(offset, length, operation);
        if (((offset | length) & (Capabilities.SectorSize - 1)) != 0)
            throw Unaligned(offset, length, operation);
    }

    private void CheckNewLength(long length)
    {
        if (length < Length || length % Capabilities.SectorSize != 0)
        {
            throw new StorageException(
                StorageErrorKind.InvalidRequest, $"new size {length} is smaller than {Length} or not whole sectors", Path, operation: "resize");
        }
    }

    private void CheckWritable(string operation)
    {
        if (Capabilities.ReadOnly)
            throw new StorageException(StorageErrorKind.ReadOnly, "the device is read-only", Path, operation: operation);
    }

    private StorageException OutOfRange(long offset, long length, string operation) => new(
        StorageErrorKind.InvalidRequest, $"{length} bytes there reach past the device's {Length} bytes", Path, offset, operation);

    private StorageException Unaligned(long offset, long length, string operation) => new(
        StorageErrorKind.InvalidRequest, $"{length} bytes there are not whole {Capabilities.SectorSize}-byte sectors", Path, offset, operation);
}
