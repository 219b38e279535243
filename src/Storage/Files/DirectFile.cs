using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Godwit.Storage.Interop;
using Godwit.Storage.Locking;
using Godwit.Storage.Reading;

namespace Godwit.Storage.Files;

/// <summary>A second opening of a file, around the page cache (<c>O_DIRECT</c>), through which every byte of it is read and written.</summary>
/// <remarks>
/// <para>The disk wants whole blocks in memory at certain addresses: what is not so goes through memory that is, and a block that a write covers in part
/// is read first. Writes lock the blocks they touch: two that share one must not each write back the other's old bytes.</para>
/// <para>Only a write that reaches past the end of the file with a part of a block takes the page cache, and is then written out and dropped from it: the
/// kernel keeps the two ways coherent one after the other.</para>
/// <para>On a thread with a <see cref="ReadLoop"/> requests wait in its ring, else the thread blocks. The opening is locked like the first one: the
/// kernel keeps the lock until the last request is over, whatever has become of the process.</para>
/// </remarks>
internal sealed unsafe class DirectFile : IDisposable
{
    // What a write that is not aligned is cut into.
    private const int PieceLength = 1 << 20;

    // Longer requests need no company: they block the thread.
    private const int MaxOwnLength = 1 << 20;
    private readonly FileDescriptor _cached;
    private readonly FileHandle _handle;
    private readonly RangeLock _locks = new();
    private readonly int _block;
    private readonly int _memory;

    private DirectFile(FileDescriptor cached, FileHandle handle)
    {
        (_cached, _handle) = (cached, handle);
        var known = LibC.Status(handle, "", FileStatus.OfHandle, FileStatus.DirectFields, out var status) == 0
            && (status.Mask & FileStatus.DirectFields) != 0 && status.DirectBlock != 0;
        (_block, _memory) = known ? ((int)status.DirectBlock, (int)status.DirectMemory) : (UncachedWriter.Alignment, UncachedWriter.Alignment);
    }

    /// <summary>Opens a file once more.</summary>
    /// <param name="cached">The first opening; stays open as long as this one.</param>
    /// <param name="readOnly">Only for reading.</param>
    /// <returns>Null where the file system cannot.</returns>
    public static DirectFile? TryOpen(FileDescriptor cached, bool readOnly)
    {
        var flags = (readOnly ? LibC.OpenReadOnly : LibC.OpenReadWrite) | LibC.OpenDirect | LibC.OpenCloseOnExec | LibC.OpenNonBlocking;
        var number = LibC.Open($"/proc/self/fd/{cached.Handle.DangerousGetHandle()}", flags, mode: 0);
        if (number < 0)
            return null;
        var file = new DirectFile(cached, new FileHandle(number));
        // Larger blocks than memory pages would ask for more care than such a disk is worth.
        if (file._block <= UncachedWriter.Alignment && file._memory <= UncachedWriter.Alignment && file.CanRead())
        {
            ImageLock.Join(file.CallLock, exclusive: !readOnly);
            return file;
        }

        file.Dispose();
        return null;
    }

    /// <summary>Reads a range that lies inside the file.</summary>
    public ValueTask ReadAsync(LocalFile owner, long offset, Memory<byte> buffer)
    {
        var start = offset & -_block;
        var length = Up(offset + buffer.Length) - start;
        var isAligned = length == buffer.Length && start == offset && IsAligned(buffer.Span);
        if (ReadLoop.Current is { } loop && length <= MaxOwnLength)
            return loop.StartAsync(owner, _handle, new FileTransfer(false, start, (int)length, (int)(offset - start), buffer, !isAligned, _block));
        if (isAligned)
            Read(owner, offset, buffer.Span, buffer.Length);
        else
            ReadThrough(owner, offset, buffer.Span);
        return ValueTask.CompletedTask;
    }

    /// <summary>Waits until no write is under way in the blocks of a range, and keeps others out.</summary>
    public ValueTask<RangeLock.Holder> LockAsync(long offset, long length, CancellationToken cancellationToken) =>
        _locks.AcquireAsync(offset & -_block, Up(offset + length) - (offset & -_block), cancellationToken);

    /// <summary>Writes a range; the caller holds its blocks.</summary>
    /// <param name="owner">For errors.</param>
    /// <param name="offset">First byte.</param>
    /// <param name="buffer">The bytes.</param>
    public ValueTask WriteAsync(LocalFile owner, long offset, ReadOnlyMemory<byte> buffer)
    {
        if (ReadLoop.Current is { } loop && IsWhole(offset, buffer.Length) && buffer.Length <= MaxOwnLength)
            return loop.StartAsync(owner, _handle, new FileTransfer(true, offset, buffer.Length, 0, buffer, !IsAligned(buffer.Span), _block));
        Write(owner, offset, buffer.Span);
        return ValueTask.CompletedTask;
    }

    /// <summary>Writes a range and waits for the disk; the caller holds its blocks.</summary>
    public void Write(LocalFile owner, long offset, ReadOnlySpan<byte> buffer)
    {
        if (IsWhole(offset, buffer.Length))
            WriteWhole(offset, buffer);
        else
            WriteParts(owner, offset, buffer);
    }

    public void Dispose() => _handle.Dispose();

    private long Up(long offset) => (offset + _block - 1) & -_block;

    private bool IsWhole(long offset, int length) => ((offset | (long)length) & (_block - 1)) == 0;

    private bool IsAligned(ReadOnlySpan<byte> buffer) =>
        ((nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(buffer)) & (_memory - 1)) == 0;

    private int CallLock(int command, ref RecordLock record) => LibC.Lock(_handle, command, ref record) < 0 ? Marshal.GetLastPInvokeError() : 0;

    /// <summary>Some file systems open such files and then refuse every request.</summary>
    private bool CanRead()
    {
        using var memory = new NativeBlock(UncachedWriter.Alignment);
        return LibC.ReadAt(_handle, memory.Start, UncachedWriter.Alignment, 0) >= 0;
    }

    /// <summary>Reads whole blocks, the last one as far as the file goes; at least so many bytes.</summary>
    private int Read(LocalFile owner, long offset, Span<byte> buffer, int needed)
    {
        var done = 0;
        fixed (byte* start = buffer)
        {
            while (done < needed)
            {
                var count = LibC.ReadAt(_handle, start + done, (nuint)(buffer.Length - done), offset + done);
                if (count == 0)
                    throw owner.PastEnd(offset, needed, offset + done);
                if (count > 0)
                    done += (int)count;
                else if (Marshal.GetLastPInvokeError() != Errno.Interrupted)
                    throw Errno.Last(owner.Path, "read", offset + done);
                // A short read in the middle of a block can only be gone on with from its start.
                if (done < needed)
                    done &= -_block;
            }
        }

        return done;
    }

    private void ReadThrough(LocalFile owner, long offset, Span<byte> buffer)
    {
        using var memory = new NativeBlock((int)Math.Min(Up(buffer.Length) + (2 * _block), PieceLength + (2 * UncachedWriter.Alignment)));
        while (!buffer.IsEmpty)
        {
            var start = offset & -_block;
            var skipped = (int)(offset - start);
            var count = Math.Min(buffer.Length, PieceLength);
            Read(owner, start, memory.Span[..(int)(Up(offset + count) - start)], skipped + count);
            memory.Span.Slice(skipped, count).CopyTo(buffer);
            offset += count;
            buffer = buffer[count..];
        }
    }

    private void WriteWhole(long offset, ReadOnlySpan<byte> buffer)
    {
        if (IsAligned(buffer))
        {
            Write(offset, buffer);
            return;
        }

        using var memory = new NativeBlock(Math.Min(buffer.Length, PieceLength));
        for (; !buffer.IsEmpty; buffer = buffer[Math.Min(buffer.Length, PieceLength)..])
        {
            var count = Math.Min(buffer.Length, PieceLength);
            buffer[..count].CopyTo(memory.Span);
            Write(offset, memory.Span[..count]);
            offset += count;
        }
    }

    /// <summary>Writes a range that begins or ends within a block.</summary>
    private void WriteParts(LocalFile owner, long offset, ReadOnlySpan<byte> buffer)
    {
        if (Up(offset + buffer.Length) > owner.Length)
        {
            // Whole blocks would make the file longer than asked for.
            _cached.Write(offset, buffer);
            _cached.WriteOut(offset, buffer.Length);
            return;
        }

        using var memory = new NativeBlock((int)Math.Min(Up(buffer.Length) + (2 * _block), PieceLength + (2 * UncachedWriter.Alignment)));
        while (!buffer.IsEmpty)
        {
            var start = offset & -_block;
            var count = (int)Math.Min(buffer.Length, PieceLength - (offset - start));
            var end = Up(offset + count);
            var whole = memory.Span[..(int)(end - start)];
            if (start != offset)
                Read(owner, start, whole[.._block], _block);
            if (end != offset + count && (end - start > _block || start == offset))
                Read(owner, end - _block, whole[^_block..], _block);
            buffer[..count].CopyTo(whole[(int)(offset - start)..]);
            Write(start, whole);
            offset += count;
            buffer = buffer[count..];
        }
    }

    private void Write(long offset, ReadOnlySpan<byte> buffer)
    {
        var done = 0;
        fixed (byte* start = buffer)
        {
            while (done < buffer.Length)
            {
                var count = LibC.WriteAt(_handle, start + done, (nuint)(buffer.Length - done), offset + done);
                if (count == 0)
                    throw Errno.ToException(Errno.Io, _cached.Path, "write", offset + done);
                if (count > 0)
                    done = done + (int)count == buffer.Length ? buffer.Length : (done + (int)count) & -_block;
                else if (Marshal.GetLastPInvokeError() != Errno.Interrupted)
                    throw Errno.Last(_cached.Path, "write", offset + done);
            }
        }
    }

    /// <summary>Memory at a page boundary, outside the collector's heap.</summary>
    private readonly ref struct NativeBlock(int length)
    {
        public readonly byte* Start = (byte*)NativeMemory.AlignedAlloc((nuint)length, UncachedWriter.Alignment);

        public Span<byte> Span => new(Start, length);

        public void Dispose() => NativeMemory.AlignedFree(Start);
    }
}
