using System.Runtime.InteropServices;

namespace Godwit.Storage.Interop;

/// <summary>The C library calls .NET has no equal for. Each sets the last P/Invoke error when it returns -1.</summary>
internal static unsafe partial class LibC
{
    public const int OpenReadOnly = 0;
    public const int OpenWriteOnly = 1;
    public const int OpenReadWrite = 2;
    public const int OpenCreate = 0x40;
    public const int OpenExclusive = 0x80;
    public const int OpenNoTerminal = 0x100;
    public const int OpenNonBlocking = 0x800;
    public const int OpenDirect = 0x4000;
    public const int OpenCloseOnExec = 0x80000;

    /// <summary>F_OFD_GETLK.</summary>
    public const int GetOpeningLock = 36;

    /// <summary>F_OFD_SETLK.</summary>
    public const int SetOpeningLock = 37;

    public const int SeekData = 3;
    public const int SeekHole = 4;

    public const int FallocateKeepSize = 1;
    public const int FallocatePunchHole = 2;
    public const int FallocateZeroRange = 0x10;

    public const int CurrentFolder = -100;
    public const uint RenameNoReplace = 1;

    /// <summary>BLKGETSIZE64: the size of a block device in bytes.</summary>
    public const nuint BlockDeviceSize = 0x80081272;

    /// <summary>RWF_NOWAIT.</summary>
    public const int ReadWithoutWaiting = 8;

    public const uint SpliceNonBlocking = 2;

    /// <summary>SYNC_FILE_RANGE_WAIT_BEFORE | WRITE | WAIT_AFTER.</summary>
    public const uint SyncRangeAndWait = 7;

    /// <summary>POSIX_FADV_DONTNEED.</summary>
    public const int NotNeeded = 4;

    /// <summary>The number of cachestat on every architecture.</summary>
    public const nint CacheStatusCall = 451;

    private const string Library = "libc";

    [LibraryImport(Library, EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags, int mode);

    [LibraryImport(Library, EntryPoint = "pread", SetLastError = true)]
    public static partial nint ReadAt(FileHandle file, byte* buffer, nuint count, long offset);

    [LibraryImport(Library, EntryPoint = "preadv2", SetLastError = true)]
    public static partial nint ReadVectorAt(FileHandle file, IoVector* vectors, int count, long offset, int flags);

    [LibraryImport(Library, EntryPoint = "pwrite", SetLastError = true)]
    public static partial nint WriteAt(FileHandle file, byte* buffer, nuint count, long offset);

    [LibraryImport(Library, EntryPoint = "fdatasync", SetLastError = true)]
    public static partial int SyncContent(FileHandle file);

    [LibraryImport(Library, EntryPoint = "fsync", SetLastError = true)]
    public static partial int Sync(FileHandle file);

    [LibraryImport(Library, EntryPoint = "sync_file_range", SetLastError = true)]
    public static partial int SyncRange(FileHandle file, long offset, long length, uint flags);

    [LibraryImport(Library, EntryPoint = "posix_fadvise")]
    public static partial int Advise(FileHandle file, long offset, long length, int advice);

    [LibraryImport(Library, EntryPoint = "ftruncate", SetLastError = true)]
    public static partial int SetLength(FileHandle file, long length);

    [LibraryImport(Library, EntryPoint = "fallocate", SetLastError = true)]
    public static partial int Allocate(FileHandle file, int mode, long offset, long length);

    [LibraryImport(Library, EntryPoint = "lseek", SetLastError = true)]
    public static partial long Seek(FileHandle file, long offset, int whence);

    [LibraryImport(Library, EntryPoint = "fcntl", SetLastError = true)]
    public static partial int Lock(FileHandle file, int command, ref RecordLock record);

    /// <summary>Moves bytes between a file and a pipe. The offset is advanced by as many.</summary>
    [LibraryImport(Library, EntryPoint = "splice", SetLastError = true)]
    public static partial nint Splice(FileHandle from, long* offset, int to, long* none, nuint length, uint flags);

    /// <summary>The same the other way.</summary>
    [LibraryImport(Library, EntryPoint = "splice", SetLastError = true)]
    public static partial nint Splice(int from, long* none, FileHandle to, long* offset, nuint length, uint flags);

    /// <summary>cachestat (Linux 6.5): how many pages of a range are in the page cache.</summary>
    [LibraryImport(Library, EntryPoint = "syscall", SetLastError = true)]
    public static partial nint CacheStatus(nint number, FileHandle file, CacheRange* range, CacheCounts* counts, uint flags);

    /// <summary>For a handle that is being released; it can no longer be passed as such.</summary>
    [LibraryImport(Library, EntryPoint = "fcntl")]
    public static partial int Unlock(int descriptor, int command, ref RecordLock record);

    [LibraryImport(Library, EntryPoint = "close")]
    public static partial int Close(int descriptor);

    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Control(FileHandle file, nuint request, long* argument);

    [LibraryImport(Library, EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Status(FileHandle file, string path, int flags, uint mask, out FileStatus status);

    [LibraryImport(Library, EntryPoint = "renameat2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Rename(int fromFolder, string from, int toFolder, string to, uint flags);

    [LibraryImport(Library, EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Link(string from, string to);

    /// <summary>The path without symbolic links and dots; null when there is no such file.</summary>
    /// <param name="path">Any path.</param>
    /// <param name="buffer">0: the C library makes one, and it is freed.</param>
    [LibraryImport(Library, EntryPoint = "realpath", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial string? RealPath(string path, nint buffer);

    [LibraryImport(Library, EntryPoint = "unlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Unlink(string path);
}
