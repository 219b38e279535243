using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Godwit.Nbd.Interop;

/// <summary>Memory that never moves, so that system calls and devices can use it without pinning it per request.</summary>
internal sealed unsafe class PinnedBuffer
{
    private readonly byte* _start;

    /// <summary>Takes memory; its content is whatever was there before.</summary>
    /// <param name="size">Bytes.</param>
    public PinnedBuffer(int size)
    {
        var array = GC.AllocateUninitializedArray<byte>(size, pinned: true);
        Memory = MemoryMarshal.CreateFromPinnedArray(array, 0, size);
        _start = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(array));
        Array = array;
    }

    /// <summary>The memory as a device takes it.</summary>
    public Memory<byte> Memory { get; }

    /// <summary>Bytes in all.</summary>
    public int Size => Array.Length;

    /// <summary>How many pending requests a device still works on in this memory. Touched by the connection's thread only.</summary>
    public int Users { get; set; }

    private byte[] Array { get; }

    /// <summary>The bytes of a range.</summary>
    public Span<byte> Span(int offset, int count) => new(Array, offset, count);

    /// <summary>The address of a byte, valid as long as this object is.</summary>
    public byte* At(int offset) => _start + offset;
}
