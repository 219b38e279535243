using System.Runtime.InteropServices;
using Godwit.Storage.Interop;

namespace Godwit.Storage.Files;

/// <summary>An open file of the kernel: system calls with retries, and errors as <see cref="StorageException"/>.</summary>
internal sealed unsafe class FileDescriptor : IDisposable
{
    private readonly FileHandle _handle;
    private UncachedWriter? _uncached;

    private FileDescriptor(FileHandle handle, string path)
    {
        _handle = handle;
        Path = path;
    }

    public string Path { get; }

    /// <summary>For calls of others; hold a reference meanwhile.</summary>
    public FileHandle Handle => _handle;

    public static FileDescriptor Open(string path, int flags)
    {
        // The kernel would cut the name there and open another file.
        if (path.Length == 0 || path.Contains('\0', StringComparison.Ordinal))
        {
            throw new StorageException(
                StorageErrorKind.InvalidRequest, "the path is empty or has a zero character", path, operation: "open");
        }

        // Without NonBlocking a FIFO in place of an image would hang the caller.
        flags |= LibC.OpenCloseOnExec | LibC.OpenNonBlocking | LibC.OpenNoTerminal;
        int number;
        do
            number = LibC.Open(path, flags, mode: 0x180);
        while (number < 0 && Interrupted());
        return number < 0
            ? throw Errno.Last(path, (flags & LibC.OpenCreate) != 0 ? "create" : "open")
            : new FileDescriptor(new FileHandle(number), path);
    }

    /// <summary>Reads until the buffer is full or the file ends; returns the bytes read.</summary>
    public int Read(long offset, Span<byte> buffer)
    {
        var done = 0;
        fixed (byte* start = buffer)
        {
            while (done < buffer.Length)
            {
                var count = LibC.ReadAt(_handle, start + done, (nuint)(buffer.Length - done), offset + done);
                if (count == 0)
                    break;
                if (count > 0)
                    done += (int)count;
                else if (!Interrupted())
                    throw Errno.Last(Path, "read", offset + done);
            }
        }

        return done;
    }

    /// <summary>From now on large, aligned writes go around the page cache, where the file system lets them.</summary>
    public void BypassCache() => _uncached = UncachedWriter.TryOpen(_handle);

    /// <summary>Reads what is in the page cache, from the start of the range on, without waiting for the disk.</summary>
    /// <returns>Bytes read; -1 when the file system cannot tell what it has.</returns>
    public int ReadCached(long offset, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            var vector = new IoVector { Start = start, Length = (nuint)buffer.Length };
            var count = LibC.ReadVectorAt(_handle, &vector, 1, offset, LibC.ReadWithoutWaiting);
            if (count >= 0)
                return (int)count;
            return Errno.MeansUnsupported(Marshal.GetLastPInvokeError()) ? -1 : 0;
        }
    }

    public void Write(long offset, ReadOnlySpan<byte> buffer)
    {
        var done = _uncached?.Write(offset, buffer) ?? 0;
        fixed (byte* start = buffer)
        {
            while (done < buffer.Length)
            {
                var count = LibC.WriteAt(_handle, start + done, (nuint)(buffer.Length - done), offset + done);
                if (count > 0)
                    done += (int)count;
                else if (count == 0)
                    throw Errno.ToException(Errno.Io, Path, "write", offset + done);
                else if (!Interrupted())
                    throw Errno.Last(Path, "write", offset + done);
            }
        }
    }

    /// <summary>Whether reading a range would not wait for the disk. False where the kernel (before 6.5) cannot tell.</summary>
    public bool IsCached(long offset, int length)
    {
        const int PageShift = 12;
        var range = new CacheRange { Offset = (ulong)offset, Length = (ulong)length };
        CacheCounts counts;
        var pages = ((offset + length - 1) >> PageShift) - (offset >> PageShift) + 1;
        return LibC.CacheStatus(LibC.CacheStatusCall, _handle, &range, &counts, 0) == 0 && counts.Cached == (ulong)pages;
    }

    /// <summary>Moves pages into a pipe; ends early when the pipe is full or the file ends or fails.</summary>
    public int MoveToPipe(long offset, int length, int pipe)
    {
        var done = 0;
        while (done < length)
        {
            var moved = LibC.Splice(_handle, &offset, pipe, null, (nuint)(length - done), LibC.SpliceNonBlocking);
            if (moved > 0)
                done += (int)moved;
            else if (moved == 0 || !Interrupted())
                break;
        }

        return done;
    }

    /// <summary>Writes what a pipe holds; false, with nothing taken, where the file system cannot.</summary>
    public bool TryMoveFromPipe(long offset, int length, int pipe)
    {
        var done = 0;
        while (done < length)
        {
            var moved = LibC.Splice(pipe, null, _handle, &offset, (nuint)(length - done), 0);
            if (moved > 0)
                done += (int)moved;
            else if (moved == 0)
                throw Errno.ToException(Errno.Io, Path, "write", offset);
            else if (done == 0 && Errno.MeansUnsupported(Marshal.GetLastPInvokeError()))
                return false;
            else if (!Interrupted())
                throw Errno.Last(Path, "write", offset);
        }

        return true;
    }

    /// <summary>Hands what the page cache has of a range to the device, and drops it there.</summary>
    public void WriteOut(long offset, long length)
    {
        while (LibC.SyncRange(_handle, offset, length, LibC.SyncRangeAndWait) < 0)
        {
            if (!Interrupted())
                throw Errno.Last(Path, "write", offset);
        }

        // Whole pages only; that the cache keeps one is no harm.
        _ = LibC.Advise(_handle, offset & -UncachedWriter.Alignment, length + (2 * UncachedWriter.Alignment), LibC.NotNeeded);
    }

    public void SyncContent()
    {
        while (LibC.SyncContent(_handle) < 0)
        {
            if (!Interrupted())
                throw Errno.Last(Path, "flush");
        }
    }

    public void Sync()
    {
        while (LibC.Sync(_handle) < 0)
        {
            // A file system that cannot flush a folder has nothing of it to lose.
            if (Marshal.GetLastPInvokeError() == Errno.Invalid)
                return;
            if (!Interrupted())
                throw Errno.Last(Path, "flush");
        }
    }

    public void SetLength(long length)
    {
        while (LibC.SetLength(_handle, length) < 0)
        {
            if (!Interrupted())
                throw Errno.Last(Path, "set length", length);
        }
    }

    /// <summary>Runs fallocate; false when the file system cannot do that.</summary>
    public bool TryAllocate(int mode, long offset, long length, string operation)
    {
        while (LibC.Allocate(_handle, mode, offset, length) < 0)
        {
            var errno = Marshal.GetLastPInvokeError();
            if (Errno.MeansUnsupported(errno))
                return false;
            if (errno != Errno.Interrupted)
                throw Errno.ToException(errno, Path, operation, offset);
        }

        return true;
    }

    /// <summary>The next data or hole from an offset on; -1 when there is none up to the end; null when unknowable.</summary>
    public long? Seek(long offset, int whence)
    {
        var found = LibC.Seek(_handle, offset, whence);
        if (found >= 0)
            return found;
        var errno = Marshal.GetLastPInvokeError();
        if (errno == Errno.NoSuchAddress)
            return -1;
        return Errno.MeansUnsupported(errno) ? null : throw Errno.ToException(errno, Path, "extent", offset);
    }

    /// <summary>Locks the file; see <see cref="ImageLock.Take"/>.</summary>
    public string? Lock(bool exclusive) => ImageLock.Take(CallLock, Path, exclusive);

    private int CallLock(int command, ref RecordLock record) =>
        LibC.Lock(_handle, command, ref record) < 0 ? Marshal.GetLastPInvokeError() : 0;

    public FileStatus Status() =>
        LibC.Status(_handle, "", FileStatus.OfHandle, FileStatus.BasicFields, out var status) < 0
            ? throw Errno.Last(Path, "status")
            : status;

    public long BlockDeviceLength()
    {
        long length;
        return LibC.Control(_handle, LibC.BlockDeviceSize, &length) < 0 ? throw Errno.Last(Path, "size") : length;
    }

    public void Dispose()
    {
        _uncached?.Dispose();
        _handle.Dispose();
    }

    private static bool Interrupted() => Marshal.GetLastPInvokeError() == Errno.Interrupted;
}
