using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>
/// Hands out places for blocks. A place is given out only when a power cut cannot make another block's old bytes show up in it.
/// </summary>
/// <remarks>
/// A freed place goes through: <b>freed</b> (the log entry that frees it may still be lost), <b>stale</b> (that entry is
/// stable, the old bytes are there), <b>punched</b> (reads as zeroes, a power cut may bring the bytes back), <b>clean</b>.
/// Each step needs a barrier, and none of them is made here: the steps ride on the flushes that happen anyway. Without a
/// clean place the file grows, by more than is needed, so that a flush has mostly made that stable before blocks come to lie there.
/// All members may be called from any thread.
/// </remarks>
/// <param name="file">The file.</param>
/// <param name="blockSize">Bytes of a place.</param>
/// <param name="end">Behind everything that is owned, what is cut off at the end of the file included; a multiple of 1 MiB.</param>
/// <param name="headroom">By how much the file grows ahead.</param>
internal sealed class VhdxSpace(IStorageFile file, int blockSize, long end, long headroom) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _growing = new(1, 1);
    private readonly Queue<(long Offset, ulong Sequence)> _freed = new();
    private readonly Queue<FileRange> _stale = new();
    private readonly Queue<FileRange> _punched = new();
    private readonly Stack<FileRange> _clean = new();
    private long _punchedEver;
    private long _cleanedEver;
    private long _end = end;
    private long _grownTo;

    /// <summary>The space of an image. A disk does not grow ahead by more than it has bytes.</summary>
    public static VhdxSpace Of(VhdxImage image, VhdxOpenOptions options) => new(
        image.File, image.Metadata.BlockSize, image.Layout.End, Math.Min(options.Headroom, VhdxFormat.AlignUp(image.Metadata.DiskSize, VhdxFormat.MiB)));

    /// <summary>Up to here the file has been made longer for a block; 0 when it has not.</summary>
    public long GrownTo => Volatile.Read(ref _grownTo);

    /// <summary>Adds what nobody owned when the file was opened. Its content is unknown.</summary>
    public void AddGaps(List<FileRange> gaps)
    {
        lock (_gate)
        {
            foreach (var gap in gaps)
            {
                if (gap.Length >= blockSize)
                    _stale.Enqueue(gap);
            }
        }
    }

    /// <summary>A place for one block that reads as zeroes, after a power cut too.</summary>
    /// <exception cref="StorageException">NoSpace, or whatever growing the file failed with. Nothing has changed then.</exception>
    public ValueTask<long> AllocateAsync(CancellationToken cancellationToken) =>
        TakeClean() is long clean ? new ValueTask<long>(clean) : AppendAsync(blockSize, cancellationToken);

    /// <summary>A place at the end of the file that reads as zeroes.</summary>
    /// <exception cref="StorageException">As for <see cref="AllocateAsync"/>.</exception>
    public async ValueTask<long> AppendAsync(long length, CancellationToken cancellationToken)
    {
        // One at a time: a later and bigger length must not be undone by an earlier one.
        await _growing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var offset = _end;
            if (offset > VhdxFormat.MaxFileLength - length)
            {
                throw new StorageException(
                    StorageErrorKind.NoSpace, $"the file has {file.Length} bytes, and no sound file is longer than {VhdxFormat.MaxFileLength}",
                    file.Path, offset, "allocate");
            }

            await GrowAsync(offset + length, cancellationToken).ConfigureAwait(false);
            _end = offset + length;
            Volatile.Write(ref _grownTo, _end);
            return offset;
        }
        finally
        {
            _growing.Release();
        }
    }

    /// <summary>Cuts off what the file has grown ahead. The log is ended: no entry asks for that length.</summary>
    public async ValueTask TrimAsync()
    {
        if (GrownTo == 0 || file.Length <= _end)
            return;
        try
        {
            await file.SetLengthAsync(_end, CancellationToken.None).ConfigureAwait(false);
        }
        catch (StorageException)
        {
            // The file keeps a hole at its end, which is free space like any other.
        }
    }

    /// <summary>Makes the file at least this long.</summary>
    public async ValueTask EnsureLengthAsync(long length, CancellationToken cancellationToken)
    {
        await _growing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (file.Length < length)
                await file.SetLengthAsync(length, cancellationToken).ConfigureAwait(false);
            Volatile.Write(ref _grownTo, Math.Max(_grownTo, length));
        }
        finally
        {
            _growing.Release();
        }
    }

    /// <summary>Forgets every free place: somebody else sees to them from now on.</summary>
    public void Forget()
    {
        lock (_gate)
        {
            _freed.Clear();
            _stale.Clear();
            _punched.Clear();
            _clean.Clear();
            _cleanedEver = _punchedEver;
        }
    }

    /// <summary>Cuts the file. The caller knows that nobody owns anything behind the new end, after a power cut neither.</summary>
    public async ValueTask CutAsync(long length)
    {
        await _growing.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            Forget();
            await file.SetLengthAsync(length, CancellationToken.None).ConfigureAwait(false);
            _end = length;
            Volatile.Write(ref _grownTo, 0);
        }
        finally
        {
            _growing.Release();
        }
    }

    /// <summary>Takes back the place of a block that lost it.</summary>
    /// <param name="offset">The place.</param>
    /// <param name="sequence">The log entry that frees it, or a later one.</param>
    public void Free(long offset, ulong sequence)
    {
        // A last block that another program cut at the end of the file is no whole place.
        if (offset + blockSize > file.Length)
            return;
        lock (_gate)
            _freed.Enqueue((offset, sequence));
    }

    /// <summary>Takes back a place that was handed out but never got into the log.</summary>
    public void GiveBack(long offset) => GiveBack(offset, blockSize);

    /// <summary>Takes back a place of any length that was handed out but never got into the log.</summary>
    public void GiveBack(long offset, long length)
    {
        lock (_gate)
            _stale.Enqueue(new FileRange(offset, length));
    }

    /// <summary>To be called before a barrier; what is punched by now will be clean after it.</summary>
    public long MarkPunched()
    {
        lock (_gate)
            return _punchedEver;
    }

    /// <summary>To be called after the barrier.</summary>
    /// <param name="punchedMark">From <see cref="MarkPunched"/>.</param>
    /// <param name="stableSequence">The newest log entry that is stable for sure.</param>
    public void MarkStable(long punchedMark, ulong stableSequence)
    {
        lock (_gate)
        {
            for (; _cleanedEver < punchedMark; _cleanedEver++)
                _clean.Push(_punched.Dequeue());
            while (_freed.TryPeek(out var freed) && freed.Sequence <= stableSequence)
                _stale.Enqueue(new FileRange(_freed.Dequeue().Offset, blockSize));
        }
    }

    /// <summary>Punches stale places. Gives their disk space back as well.</summary>
    /// <param name="limit">Stops after about this many bytes, so that one flush does not take too long.</param>
    /// <returns>Something was punched: the next barrier has something to do.</returns>
    public async ValueTask<bool> PunchStaleAsync(long limit)
    {
        var any = false;
        while (limit > 0 && TakeStale(limit) is FileRange range)
        {
            limit -= range.Length;
            try
            {
                await file.PunchHoleAsync(range.Start, range.Length, CancellationToken.None).ConfigureAwait(false);
            }
            catch (StorageException)
            {
                // Only free space is concerned: it stays unused until the next open, nothing else is lost.
                continue;
            }

            any = true;
            lock (_gate)
            {
                _punched.Enqueue(range);
                _punchedEver++;
            }
        }

        return any;
    }

    public void Dispose() => _growing.Dispose();

    private async ValueTask GrowAsync(long needed, CancellationToken cancellationToken)
    {
        if (file.Length - needed >= headroom / 2)
            return;
        var ahead = Math.Min(needed + headroom, VhdxFormat.MaxFileLength);
        try
        {
            await file.SetLengthAsync(ahead, cancellationToken).ConfigureAwait(false);
        }
        catch (StorageException) when (file.Length >= needed)
        {
            // There is room for this one; the next one tries again.
        }
        catch (StorageException) when (ahead > needed)
        {
            await file.SetLengthAsync(needed, cancellationToken).ConfigureAwait(false);
        }
    }

    private long? TakeClean()
    {
        lock (_gate)
        {
            while (_clean.TryPop(out var range))
            {
                if (range.Length < blockSize)
                    continue;
                if (range.Length > blockSize)
                    _clean.Push(new FileRange(range.Start + blockSize, range.Length - blockSize));
                return range.Start;
            }

            return null;
        }
    }

    private FileRange? TakeStale(long limit)
    {
        lock (_gate)
        {
            if (!_stale.TryDequeue(out var range))
                return null;
            var part = Math.Max(blockSize, VhdxFormat.AlignDown(limit, blockSize));
            if (range.Length <= part)
                return range;
            _stale.Enqueue(new FileRange(range.Start + part, range.Length - part));
            return new FileRange(range.Start, part);
        }
    }
}
