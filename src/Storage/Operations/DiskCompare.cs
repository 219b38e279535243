namespace Godwit.Storage.Operations;

/// <summary>Compares what two disks hold, whatever formats they are kept in.</summary>
/// <remarks>Where both read as zeroes nothing is read. The two are read at the same time, by two threads; 8 MiB of memory.
/// Use an instance once.</remarks>
/// <param name="first">One disk; stays the caller's, and nobody writes to it meanwhile.</param>
/// <param name="second">The other; may have another length and other sectors.</param>
public sealed class DiskCompare(BlockDevice first, BlockDevice second)
{
    private const int WindowBytes = 4 << 20;
    private const int StepBytes = 4096;
    private const int LongRun = 64 << 10;

    private readonly PaddedDisk _first = new(first);
    private readonly PaddedDisk _second = new(second);
    private readonly byte[] _firstBytes = GC.AllocateUninitializedArray<byte>(WindowBytes, pinned: true);
    private readonly byte[] _secondBytes = GC.AllocateUninitializedArray<byte>(WindowBytes, pinned: true);
    private readonly long _length = Math.Max(first.Length, second.Length);
    private long? _firstDifference;
    private long _differing;

    /// <summary>Compares from the start until enough differs.</summary>
    /// <param name="enough">Stops after the 4 MiB in which this many bytes were found to differ; null to compare everything.</param>
    /// <param name="onProgress">Is told offsets, of the length of the longer disk; null for nobody.</param>
    /// <param name="cancellationToken">Gives up after the requests on their way.</param>
    /// <exception cref="StorageException">A device failed.</exception>
    public async Task<CompareResult> RunAsync(long? enough, Action<CopyProgress>? onProgress, CancellationToken cancellationToken)
    {
        long offset = 0;
        while (offset < _length && !(_differing >= enough))
        {
            cancellationToken.ThrowIfCancellationRequested();
            offset = await StepAsync(offset, cancellationToken).ConfigureAwait(false);
            onProgress?.Invoke(new CopyProgress(Math.Min(offset, _length), _length));
        }

        return new CompareResult(_first.Length, _second.Length, _firstDifference, _differing, Math.Min(offset, _length));
    }

    /// <summary>Compares one window, or skips what both have not; returns where to go on.</summary>
    private async ValueTask<long> StepAsync(long offset, CancellationToken cancellationToken)
    {
        var a = await _first.GetExtentAsync(offset, cancellationToken).ConfigureAwait(false);
        var b = await _second.GetExtentAsync(offset, cancellationToken).ConfigureAwait(false);
        if (a.ReadsAsZeroes && b.ReadsAsZeroes)
            return Math.Min(a.End, b.End);

        // Up to the end of a long run of data, or a whole window of short ones.
        var data = Math.Max(a.ReadsAsZeroes ? 0 : a.Length, b.ReadsAsZeroes ? 0 : b.Length);
        var end = Math.Min((offset & -(long)WindowBytes) + WindowBytes, PaddedDisk.RoundUp(_length));
        end = data < LongRun ? end : Math.Min(end, offset + data);
        var size = (int)(end - offset);
        var reading = Task.Run(() => FillAsync(_second, offset, _secondBytes.AsMemory(0, size), cancellationToken).AsTask(), CancellationToken.None);
        try
        {
            await FillAsync(_first, offset, _firstBytes.AsMemory(0, size), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            // The caller may close the devices when this throws.
            await reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await reading.ConfigureAwait(false);
        Compare(offset, size);
        return end;
    }

    private static async ValueTask FillAsync(PaddedDisk disk, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (!buffer.IsEmpty)
        {
            var run = await disk.GetExtentAsync(offset, cancellationToken).ConfigureAwait(false);
            var length = (int)Math.Min(run.Length, buffer.Length);
            if (run.ReadsAsZeroes)
                buffer.Span[..length].Clear();
            else
                await disk.ReadAsync(offset, buffer[..length], cancellationToken).ConfigureAwait(false);
            buffer = buffer[length..];
            offset += length;
        }
    }

    private void Compare(long offset, int size)
    {
        for (var at = 0; at < size; at += StepBytes)
        {
            var a = _firstBytes.AsSpan(at, Math.Min(StepBytes, size - at));
            var b = _secondBytes.AsSpan(at, a.Length);
            if (a.SequenceEqual(b))
                continue;
            _firstDifference ??= offset + at + a.CommonPrefixLength(b);
            for (var i = 0; i < a.Length; i++)
                _differing += a[i] == b[i] ? 0 : 1;
        }
    }
}
