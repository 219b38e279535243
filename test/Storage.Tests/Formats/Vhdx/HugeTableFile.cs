using System.Buffers.Binary;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>A VHDX whose table is too big to be stored in a test: what was not written is computed when it is read. Counts the reads of it.</summary>
internal sealed class HugeTableFile(MemoryFile inner, long tableOffset, long tableLength, Func<long, BatEntry> entry) : IStorageFile
{
    /// <summary>Where the blocks begin, whatever the size of the table.</summary>
    public const long FirstPlace = VhdxSample.BatOffset + (513L * VhdxSample.MiB);

    private const int Page = 4096;
    private readonly HashSet<long> _written = [];
    private long _tableReads;
    private long _extents;

    public string Path => inner.Path;

    public long Length => inner.Length;

    public bool IsReadOnly => inner.IsReadOnly;

    /// <summary>Bytes of the table that were asked for.</summary>
    public long TableBytesRead => Interlocked.Read(ref _tableReads);

    public long ExtentsAsked => Interlocked.Read(ref _extents);

    /// <summary>Made by our own writer, then every entry as told.</summary>
    public static async Task<HugeTableFile> CreateAsync(long size, int blockSize, Func<long, BatEntry> entry)
    {
        var file = new MemoryFile(path: "huge-table.vhdx");
        await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = size, BlockSize = blockSize }, CancellationToken.None);
        var geometry = new VhdxGeometry(size, blockSize);
        await file.SetLengthAsync(FirstPlace + (geometry.EntryCount * blockSize), CancellationToken.None);
        return new HugeTableFile(
            file, VhdxSample.BatOffset, geometry.TableLength,
            index => index < geometry.EntryCount && !geometry.IsBitmapEntry(index) ? entry(index) : default);
    }

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await inner.ReadAsync(offset, buffer, cancellationToken);
        for (var at = Math.Max(offset, tableOffset) & -8; at < Math.Min(offset + buffer.Length, tableOffset + tableLength); at += 8)
        {
            Interlocked.Add(ref _tableReads, 8);
            if (!IsWritten(at))
                BinaryPrimitives.WriteUInt64LittleEndian(buffer.Span[(int)(at - offset)..], entry((at - tableOffset) / 8).Raw);
        }
    }

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        lock (_written)
        {
            for (var at = offset; at < offset + buffer.Length; at += Page)
                _written.Add(at / Page);
        }

        return inner.WriteAsync(offset, buffer, cancellationToken);
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

    public ValueTask SetLengthAsync(long length, CancellationToken cancellationToken) => inner.SetLengthAsync(length, cancellationToken);

    public ValueTask PunchHoleAsync(long offset, long length, CancellationToken cancellationToken) =>
        inner.PunchHoleAsync(offset, length, cancellationToken);

    public ValueTask AllocateZeroesAsync(long offset, long length, CancellationToken cancellationToken) =>
        inner.AllocateZeroesAsync(offset, length, cancellationToken);

    public ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _extents);
        return offset >= tableOffset && offset < tableOffset + tableLength
            ? new ValueTask<Extent>(new Extent(offset, Math.Min(length, tableOffset + tableLength - offset), ExtentKind.Data))
            : inner.GetExtentAsync(offset, length, cancellationToken);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private bool IsWritten(long at)
    {
        lock (_written)
            return _written.Contains(at / Page);
    }
}
