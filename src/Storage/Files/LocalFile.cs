using Godwit.Storage.Interop;

namespace Godwit.Storage.Files;

/// <summary>A regular file or block device of this computer, read and written through the page cache unless told otherwise.</summary>
/// <remarks>
/// <para>Holds a lock on the file while open, which QEMU and its tools respect and whose locks it respects: exclusive for writing, shared
/// for reading (<see cref="ImageLock"/>).</para>
/// <para>Reads and writes run on the caller's thread and complete synchronously. A flush runs on the thread pool and its
/// task is pending meanwhile. Safe from any thread.</para>
/// <para>Space is given back, reserved and mapped with fallocate and lseek where the file system can; elsewhere zeroes are
/// written and everything counts as data.</para>
/// </remarks>
public sealed partial class LocalFile : IStorageFile
{
    private readonly FileDescriptor _file;
    private readonly FlushQueue _flushes;
    private readonly Lock _lengthGate = new();
    private readonly bool _isBlockDevice;
    private readonly DirectFile? _direct;
    private long _length;
    private volatile bool _closed;

    private LocalFile(FileDescriptor file, bool readOnly, FileStatus status, DirectFile? direct, IReadOnlyList<string> gaps)
    {
        _file = file;
        _direct = direct;
        (_punch, _allocate) = (Punch, Allocate);
        Gaps = gaps;
        _flushes = new FlushQueue(file);
        _isBlockDevice = status.IsBlockDevice;
        _length = _isBlockDevice ? file.BlockDeviceLength() : (long)status.Size;
        Identity = (((long)status.DeviceMajor << 32) | status.DeviceMinor, (long)status.Inode);
        IsReadOnly = readOnly;
    }

    /// <inheritdoc/>
    public string Path => _file.Path;

    /// <inheritdoc/>
    public long Length => Volatile.Read(ref _length);

    /// <inheritdoc/>
    public bool IsReadOnly { get; }

    /// <summary>What the file system does not give, and what that means; empty on most.</summary>
    public IReadOnlyList<string> Gaps { get; }

    /// <summary>File system and file number: equal for two paths that lead to the same file.</summary>
    public (long Device, long Inode) Identity { get; }

    /// <summary>Bytes of disk space the file takes up now; the whole size for a block device.</summary>
    /// <exception cref="StorageException">The file system failed, or the file is closed.</exception>
    public long AllocatedBytes
    {
        get
        {
            CheckOpen("status");
            return _isBlockDevice ? Length : (long)_file.Status().Blocks * 512;
        }
    }

    /// <summary>When the file's content was changed last, in whole seconds.</summary>
    /// <exception cref="StorageException">The file system failed, or the file is closed.</exception>
    public DateTimeOffset Modified
    {
        get
        {
            CheckOpen("status");
            return DateTimeOffset.FromUnixTimeSeconds(_file.Status().ModifiedSeconds);
        }
    }

    /// <summary>Opens an existing file or block device and locks it.</summary>
    /// <param name="path">The file; symbolic links are followed.</param>
    /// <param name="readOnly">Opens for reading only and lets other readers in.</param>
    /// <param name="bypassCache">Writes of 1 MiB and more at multiples of 4096 bytes, from memory at one, go to the disk without the page
    /// cache: for files that are filled and not read again soon. A wish; not every file system can.</param>
    /// <param name="cache">Whether reads and writes go through the page cache. Where a file system cannot go around it, <see cref="Gaps"/>
    /// says so.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.NotFound"/>, <see cref="StorageErrorKind.AccessDenied"/>,
    /// <see cref="StorageErrorKind.InUse"/> when another opening holds it, or <see cref="StorageErrorKind.InvalidRequest"/>
    /// when it is neither a regular file nor a block device.</exception>
    public static LocalFile Open(string path, bool readOnly, bool bypassCache = false, FileCache cache = FileCache.Writeback)
    {
        var descriptor = FileDescriptor.Open(path, readOnly ? LibC.OpenReadOnly : LibC.OpenReadWrite);
        var file = Wrap(descriptor, readOnly, cache);
        if (bypassCache && !readOnly && file._direct is null)
            descriptor.BypassCache();
        return file;
    }

    /// <summary>Creates an empty file that only its owner may read and write, and locks it.</summary>
    /// <param name="path">The file; must not exist.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.AlreadyExists"/>, <see cref="StorageErrorKind.NotFound"/> for
    /// the folder, <see cref="StorageErrorKind.AccessDenied"/> or <see cref="StorageErrorKind.NoSpace"/>.</exception>
    public static LocalFile Create(string path) =>
        Wrap(FileDescriptor.Open(path, LibC.OpenReadWrite | LibC.OpenCreate | LibC.OpenExclusive), readOnly: false);

    /// <summary>Closes the file and lets go of its lock. Does not flush.</summary>
    public ValueTask DisposeAsync()
    {
        _closed = true;
        _direct?.Dispose();
        _file.Dispose();
        return ValueTask.CompletedTask;
    }

    private static LocalFile Wrap(FileDescriptor file, bool readOnly, FileCache cache = FileCache.Writeback)
    {
        try
        {
            var status = file.Status();
            if (!status.IsRegularFile && !status.IsBlockDevice)
            {
                throw new StorageException(
                    StorageErrorKind.InvalidRequest, "neither a regular file nor a block device", file.Path, operation: "open");
            }

            List<string> gaps = [.. file.Lock(exclusive: !readOnly) is { } unlocked ? [unlocked] : Array.Empty<string>()];
            var direct = cache == FileCache.None ? DirectFile.TryOpen(file, readOnly) : null;
            if (cache == FileCache.None && direct is null)
                gaps.Add("the file system cannot go around its page cache (O_DIRECT): cache mode none has no effect, writes are done when they are in the cache");

            // Asked again under the lock: the last holder may have changed the size meanwhile.
            return new LocalFile(file, readOnly, file.Status(), direct, gaps);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }
}
