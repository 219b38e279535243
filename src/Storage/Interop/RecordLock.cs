using System.Runtime.InteropServices;

namespace Godwit.Storage.Interop;

/// <summary>struct flock with 64-bit offsets.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RecordLock
{
    public const short Read = 0;
    public const short Write = 1;
    public const short Unlock = 2;

    public short Type;

    /// <summary>What <see cref="Start"/> counts from; 0: the start of the file.</summary>
    public short Whence;
    public long Start;
    public long Length;

    /// <summary>Who holds a lock that was found: -1 for an opening, which has no process. 0 when asking.</summary>
    public int Process;
}
