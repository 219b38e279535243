using System.IO.MemoryMappedFiles;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Godwit.Storage.Bitmaps;

/// <summary>The words of a bitmap: in a mapped file, or in an array that does not move.</summary>
internal sealed unsafe class BitmapMemory : IDisposable
{
    private readonly ulong[]? _array;
    private readonly MemoryMappedFile? _file;
    private readonly MemoryMappedViewAccessor? _view;
    private readonly int _count;

    private BitmapMemory(ulong[] array)
    {
        _array = array;
        _count = array.Length;
        Words = (ulong*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(array));
    }

    private BitmapMemory(MemoryMappedFile file, MemoryMappedViewAccessor view, long offset, int count)
    {
        _file = file;
        _view = view;
        _count = count;
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        Words = (ulong*)(start + view.PointerOffset + offset);
    }

    public ulong* Words { get; }

    public Span<ulong> Span => new(Words, _count);

    public static BitmapMemory Allocate(int count) => new(GC.AllocateArray<ulong>(Math.Max(1, count), pinned: true));

    public static BitmapMemory Map(string path, int offset, int count)
    {
        MemoryMappedFile? file = null;
        try
        {
            file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.ReadWrite);
            return new BitmapMemory(file, file.CreateViewAccessor(0, offset + ((long)count * sizeof(ulong))), offset, count);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            file?.Dispose();
            throw new StorageException(StorageErrorKind.IoFailed, $"the bitmap cannot be mapped: {e.Message}", path, operation: "map", inner: e);
        }
    }

    public void Flush()
    {
        try
        {
            _view?.Flush();
        }
        catch (IOException e)
        {
            throw new StorageException(StorageErrorKind.IoFailed, $"the bitmap cannot be flushed: {e.Message}", null, operation: "flush", inner: e);
        }
    }

    public void Dispose()
    {
        // The array, if it is one, is kept alive by this object and needs nothing.
        GC.KeepAlive(_array);
        if (_view is null || _view.SafeMemoryMappedViewHandle.IsClosed)
            return;
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file!.Dispose();
    }
}
