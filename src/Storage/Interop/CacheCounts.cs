using System.Runtime.InteropServices;

namespace Godwit.Storage.Interop;

/// <summary>struct cachestat_range.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CacheRange
{
    public ulong Offset;
    public ulong Length;
}

/// <summary>struct cachestat: pages of a range, by how the page cache has them.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CacheCounts
{
    public ulong Cached;
    public ulong Dirty;
    public ulong WritingBack;
    public ulong Evicted;
    public ulong RecentlyEvicted;
}
