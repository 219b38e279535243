using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Godwit.Api;
using Godwit.Api.Workers;

namespace Godwit.Worker.Interop;

/// <summary>What the file system says about a path, without opening it.</summary>
/// <param name="Identity">Which file it is, whatever its name.</param>
/// <param name="IsRegular">A regular file: not a folder, device, link or socket.</param>
/// <param name="AllocatedBytes">Bytes the file occupies.</param>
internal readonly record struct FileStatus(FileIdentity Identity, bool IsRegular, long AllocatedBytes)
{
    private const int DoNotFollow = 0x100; // AT_SYMLINK_NOFOLLOW
    private const uint Mask = 0x7ff | 0x800; // STATX_BASIC_STATS | STATX_BTIME

    /// <summary>Looks at a path.</summary>
    /// <param name="path">The path.</param>
    /// <param name="follow">Look through a symbolic link at the end.</param>
    /// <returns>Null when nothing is there or it cannot be reached.</returns>
    internal static unsafe FileStatus? Read(string path, bool follow = false)
    {
        var buffer = stackalloc byte[256];
        if (LibC.Status(LibC.WorkingFolder, path, follow ? 0 : DoNotFollow, Mask, buffer) != 0)
            return null;

        // struct statx: mode at 28, inode at 32, blocks at 48, birth time (seconds, nanoseconds) at 80.
        var at = new ReadOnlySpan<byte>(buffer, 256);
        var born = (BinaryPrimitives.ReadInt64LittleEndian(at[80..]) * 1_000_000_000) + BinaryPrimitives.ReadUInt32LittleEndian(at[88..]);
        return new FileStatus(
            new FileIdentity(BinaryPrimitives.ReadInt64LittleEndian(at[32..]), born),
            (BinaryPrimitives.ReadUInt16LittleEndian(at[28..]) & 0xf000) == 0x8000,
            BinaryPrimitives.ReadInt64LittleEndian(at[48..]) * 512);
    }

    /// <summary>The path names exactly this file.</summary>
    internal static bool Is(string path, FileIdentity identity) => Read(path) is { } status && status.Identity == identity;

    /// <summary>Removes a name; nothing there is as good.</summary>
    /// <exception cref="GodwitException">The file system refused.</exception>
    internal static void Remove(string path)
    {
        if (LibC.Unlink(path) != 0 && Marshal.GetLastPInvokeError() != LibC.NoEntry)
            throw Errno.Exception($"delete {path}");
    }
}
