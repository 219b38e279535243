using System.Runtime.CompilerServices;
using Godwit.Storage.Reading;

namespace Godwit.Storage.Files;

/// <content>Bytes: read, write, flush, length.</content>
public sealed partial class LocalFile
{
    // Far behind the end of any file, and far from an overflow.
    private const long MaxFileLength = 1L << 60;

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        Check(offset, "read", cancellationToken);
        if (_direct is not null)
            return buffer.Length <= Length - offset ? _direct.ReadAsync(this, offset, buffer) : throw PastEnd(offset, buffer.Length, Length);
        if (ReadLoop.Current is { } loop && !_neverWaits)
        {
            var now = _file.ReadCached(offset, buffer.Span);
            if (now == buffer.Length)
                return ValueTask.CompletedTask;
            if (now >= 0)
                return loop.ReadAsync(this, _file.Handle, offset + now, buffer[now..]);
            _neverWaits = true;
        }

        var count = _file.Read(offset, buffer.Span);
        return count == buffer.Length ? ValueTask.CompletedTask : throw PastEnd(offset, buffer.Length, offset + count);
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        Check(offset, "write", cancellationToken);
        CheckWritable("write");
        if (_direct is not null)
            return WriteDirectAsync(_direct, offset, buffer, cancellationToken);
        if (buffer.Length <= Length - offset)
            _file.Write(offset, buffer.Span);
        else
            Extend(offset, buffer.Span);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        Check(0, "flush", cancellationToken);
        return IsReadOnly ? ValueTask.CompletedTask : _flushes.FlushAsync();
    }

    /// <inheritdoc/>
    public ValueTask SetLengthAsync(long length, CancellationToken cancellationToken)
    {
        Check(length, "set length", cancellationToken);
        CheckWritable("set length");
        if (_isBlockDevice)
        {
            return length == Length
                ? ValueTask.CompletedTask
                : throw new StorageException(
                    StorageErrorKind.Unsupported, $"a block device keeps its {Length} bytes", Path, operation: "set length");
        }

        if (_direct is not null)
            return CutOrGrowAloneAsync(_direct, length, cancellationToken);
        CutOrGrow(length);
        return ValueTask.CompletedTask;
    }

    private async ValueTask CutOrGrowAloneAsync(DirectFile direct, long length, CancellationToken cancellationToken)
    {
        using var holder = await direct.LockAsync(Math.Min(length, Length), MaxFileLength, cancellationToken).ConfigureAwait(false);
        CutOrGrow(length);
    }

    private void CutOrGrow(long length)
    {
        lock (_lengthGate)
        {
            _file.SetLength(length);
            Volatile.Write(ref _length, length);
            _data.Forget();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteDirectAsync(DirectFile direct, long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        using var holder = await direct.LockAsync(offset, buffer.Length, cancellationToken).ConfigureAwait(false);
        if (buffer.Length <= Length - offset)
            await direct.WriteAsync(this, offset, buffer).ConfigureAwait(false);
        else
            Extend(offset, buffer.Span);
    }

    private void WriteNow(long offset, ReadOnlySpan<byte> buffer)
    {
        if (_direct is null)
            _file.Write(offset, buffer);
        else
            _direct.Write(this, offset, buffer);
    }

    private void Extend(long offset, ReadOnlySpan<byte> buffer)
    {
        // Held over the write: a cut of the file in between would leave the remembered length wrong.
        lock (_lengthGate)
        {
            try
            {
                WriteNow(offset, buffer);
                if (!_isBlockDevice)
                    Volatile.Write(ref _length, Math.Max(_length, offset + buffer.Length));
            }
            catch (StorageException) when (!_isBlockDevice)
            {
                // A part may have been written before the space ran out.
                Volatile.Write(ref _length, Math.Max(_length, (long)_file.Status().Size));
                throw;
            }
        }
    }

    internal StorageException PastEnd(long offset, int length, long end)
    {
        var reason = offset + length > Length
            ? $"{length} bytes there reach past the end at {Length}"
            : $"the file ends at {end} although it had {Length} bytes when opened; something else has cut it";
        return new StorageException(StorageErrorKind.Corrupt, reason, Path, offset, "read");
    }

    private void Check(long offset, string operation, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        CheckOpen(operation);
        if (offset < 0)
            throw new StorageException(StorageErrorKind.InvalidRequest, "the offset is negative", Path, offset, operation);
    }

    private void CheckOpen(string operation)
    {
        if (_closed)
            throw new StorageException(StorageErrorKind.Closed, "the file has been closed", Path, operation: operation);
    }

    private void CheckWritable(string operation)
    {
        if (IsReadOnly)
            throw new StorageException(StorageErrorKind.ReadOnly, "the file is open for reading only", Path, operation: operation);
    }
}
