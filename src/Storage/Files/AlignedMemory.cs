using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Godwit.Storage.Files;

/// <summary>Memory that a file's cache can be bypassed with.</summary>
internal static class AlignedMemory
{
    /// <summary>Memory at a multiple of 4096 bytes that never moves; its content is anything. The collector frees it.</summary>
    /// <param name="length">Bytes.</param>
    public static unsafe Memory<byte> Allocate(int length)
    {
        var bytes = GC.AllocateUninitializedArray<byte>(length + UncachedWriter.Alignment, pinned: true);
        var address = (long)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(bytes));
        return bytes.AsMemory((int)(-address & (UncachedWriter.Alignment - 1)), length);
    }
}
