using System.Runtime.InteropServices;
using Godwit.Storage.Interop;

namespace Godwit.Storage.Files;

/// <summary>A second opening of a file whose large, aligned writes go from the caller's buffer to the disk, without a copy in the page
/// cache (<c>O_DIRECT</c>).</summary>
/// <remarks>
/// <para>Copying a disk through the cache costs memory bandwidth, pushes out what the VMs of the host have there, and leaves the writing
/// itself to the flush. The kernel keeps both openings coherent. What has been written still needs the flush to survive a power cut.</para>
/// <para>Smaller writes are worth gathering in the cache: each of ours would wait for the disk. Safe from any thread.</para>
/// </remarks>
internal sealed unsafe class UncachedWriter : IDisposable
{
    /// <summary>Offsets, lengths and memory are multiples of it, in bytes: the largest logical sector there is.</summary>
    public const int Alignment = 4096;

    private const int MinLength = 1 << 20;
    private readonly FileHandle _handle;
    private volatile bool _refused;

    private UncachedWriter(FileHandle handle) => _handle = handle;

    /// <summary>Opens a file once more; null where that is not possible, as on most file systems in memory.</summary>
    /// <param name="file">An opening of it that stays open meanwhile; the same file is opened whatever its path leads to by now.</param>
    public static UncachedWriter? TryOpen(FileHandle file)
    {
        var number = LibC.Open(
            $"/proc/self/fd/{file.DangerousGetHandle()}", LibC.OpenWriteOnly | LibC.OpenDirect | LibC.OpenCloseOnExec | LibC.OpenNonBlocking, mode: 0);
        return number < 0 ? null : new UncachedWriter(new FileHandle(number));
    }

    /// <summary>Writes as much as can be written this way.</summary>
    /// <returns>Bytes written, from the start on; the caller writes the others through the cache and meets the error there, if any.</returns>
    public int Write(long offset, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            if (_refused || buffer.Length < MinLength || ((offset | (long)buffer.Length | (long)start) & (Alignment - 1)) != 0)
                return 0;
            var done = 0;
            while (done < buffer.Length)
            {
                var count = LibC.WriteAt(_handle, start + done, (nuint)(buffer.Length - done), offset + done);
                if (count > 0)
                    done += (int)count;
                else if (count == 0 || Marshal.GetLastPInvokeError() != Errno.Interrupted)
                    return GiveUp(count, done);
            }

            return done;
        }
    }

    public void Dispose() => _handle.Dispose();

    /// <summary>A file system that wants more than our alignment would refuse every time.</summary>
    private int GiveUp(nint count, int done)
    {
        _refused |= count < 0 && Marshal.GetLastPInvokeError() == Errno.Invalid;

        // Behind a torn write the next byte may not be aligned; what was written is written again with it.
        return done & -Alignment;
    }
}
