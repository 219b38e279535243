using System.Runtime.InteropServices;

namespace Godwit.Storage.Interop;

/// <summary>What statx tells; the same layout on every processor, which struct stat has not.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct FileStatus
{
    /// <summary>AT_EMPTY_PATH: the handle itself is meant.</summary>
    public const int OfHandle = 0x1000;

    /// <summary>STATX_BASIC_STATS.</summary>
    public const uint BasicFields = 0x7ff;

    /// <summary>STATX_DIOALIGN (Linux 6.1).</summary>
    public const uint DirectFields = 0x2000;

    /// <summary>Which fields were filled in.</summary>
    [FieldOffset(0)]
    public uint Mask;

    [FieldOffset(28)]
    public ushort Mode;

    [FieldOffset(32)]
    public ulong Inode;

    [FieldOffset(40)]
    public ulong Size;

    [FieldOffset(48)]
    public ulong Blocks;

    [FieldOffset(112)]
    public long ModifiedSeconds;

    [FieldOffset(120)]
    public uint ModifiedNanoseconds;

    [FieldOffset(136)]
    public uint DeviceMajor;

    [FieldOffset(140)]
    public uint DeviceMinor;

    /// <summary>What memory around the page cache is a multiple of, in bytes.</summary>
    [FieldOffset(152)]
    public uint DirectMemory;

    /// <summary>What offsets and lengths around the page cache are multiples of, in bytes; 0: it cannot be done.</summary>
    [FieldOffset(156)]
    public uint DirectBlock;

    public readonly bool IsRegularFile => (Mode & 0xF000) == 0x8000;

    public readonly bool IsBlockDevice => (Mode & 0xF000) == 0x6000;
}
