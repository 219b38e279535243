using Godwit.Storage;
using Godwit.Storage.Files;

namespace Godwit.Testing.Files;

/// <summary>A sparse file in memory. Completes synchronously and allocates nothing for reads and overwrites.</summary>
public sealed class MemoryFile : IStorageFile
{
    private readonly SparseBytes _bytes;
    private readonly Lock _gate;
    private bool _closed;

    /// <summary>Creates an empty file, or one with the given content.</summary>
    public MemoryFile(ReadOnlySpan<byte> content = default, string path = "memory")
        : this(new SparseBytes(), new Lock(), path, readOnly: false) => _bytes.Write(0, content);

    internal MemoryFile(SparseBytes bytes, string path)
        : this(bytes, new Lock(), path, readOnly: false)
    {
    }

    private MemoryFile(SparseBytes bytes, Lock gate, string path, bool readOnly)
    {
        _bytes = bytes;
        _gate = gate;
        Path = path;
        IsReadOnly = readOnly;
    }

    public string Path { get; }

    public bool IsReadOnly { get; }

    public long Length
    {
        get
        {
            lock (_gate)
                return _bytes.Length;
        }
    }

    /// <summary>Bytes of 4 KiB pages that are not holes.</summary>
    public long AllocatedBytes
    {
        get
        {
            lock (_gate)
                return _bytes.AllocatedBytes;
        }
    }

    /// <summary>Another opening of the same bytes; works after this one was disposed.</summary>
    public MemoryFile Reopen(bool readOnly = false) => new(_bytes, _gate, Path, readOnly);

    /// <summary>A file of its own with the same content; cheap, pages are shared until written.</summary>
    public MemoryFile Copy(string? path = null)
    {
        lock (_gate)
            return new MemoryFile(_bytes.Copy(), path ?? Path);
    }

    /// <summary>The whole content.</summary>
    public byte[] ToArray()
    {
        lock (_gate)
        {
            var content = new byte[_bytes.Length];
            _bytes.Read(0, content);
            return content;
        }
    }

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            Check("read", offset, changes: false);
            if (offset + buffer.Length > _bytes.Length)
                throw Fault(StorageErrorKind.Corrupt, $"{buffer.Length} bytes there reach past the end at {_bytes.Length}", offset, "read");
            _bytes.Read(offset, buffer.Span);
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            Check("write", offset, changes: true);
            _bytes.Write(offset, buffer.Span);
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
            Check("flush", 0, changes: false);
        return ValueTask.CompletedTask;
    }

    public ValueTask SetLengthAsync(long length, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            Check("set length", length, changes: true);
            _bytes.SetLength(length);
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask PunchHoleAsync(long offset, long length, CancellationToken cancellationToken) =>
        Zero(offset, length, keep: false, "punch hole");

    public ValueTask AllocateZeroesAsync(long offset, long length, CancellationToken cancellationToken) =>
        Zero(offset, length, keep: true, "allocate");

    public ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            Check("extent", offset, changes: false);
            CheckInside(offset, length, "extent");
            return new ValueTask<Extent>(_bytes.GetExtent(offset, length));
        }
    }

    public ValueTask DisposeAsync()
    {
        lock (_gate)
            _closed = true;
        return ValueTask.CompletedTask;
    }

    private ValueTask Zero(long offset, long length, bool keep, string operation)
    {
        lock (_gate)
        {
            Check(operation, offset, changes: true);
            CheckInside(offset, length, operation);
            _bytes.Zero(offset, length, keep);
        }

        return ValueTask.CompletedTask;
    }

    private void Check(string operation, long offset, bool changes)
    {
        if (_closed)
            throw Fault(StorageErrorKind.Closed, "the file has been closed", offset, operation);
        if (changes && IsReadOnly)
            throw Fault(StorageErrorKind.ReadOnly, "the file is open for reading only", offset, operation);
        if (offset < 0)
            throw Fault(StorageErrorKind.InvalidRequest, "the offset is negative", offset, operation);
    }

    private void CheckInside(long offset, long length, string operation)
    {
        if (length < 0 || offset + length > _bytes.Length)
            throw Fault(StorageErrorKind.InvalidRequest, $"{length} bytes there reach past the end at {_bytes.Length}", offset, operation);
    }

    private StorageException Fault(StorageErrorKind kind, string reason, long offset, string operation) =>
        new(kind, reason, Path, offset, operation);
}
