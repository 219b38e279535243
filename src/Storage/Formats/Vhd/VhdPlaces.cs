using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>The places nobody has. One is given out only when a power cut cannot make old bytes show up in it.</summary>
/// <remarks>
/// The states are those of docs/design/vhdx.md: <b>freed</b> (the entry that frees it may still be lost), <b>stale</b> (that
/// entry is stable, the old bytes are there), <b>punched</b> (reads as zeroes, a power cut may bring the bytes back),
/// <b>clean</b>. The steps ride on flushes that happen anyway. All members may be called from any thread.
/// <para>Without a parent the bitmap of a clean place is full, and stable: else a power cut could keep a block's entry and its
/// bytes but not its bitmap, and then programs that honour the bitmap and those that do not (QEMU) read different disks.</para>
/// </remarks>
/// <param name="file">The image.</param>
/// <param name="blocks">What a place looks like.</param>
/// <param name="hasParent">Bitmaps tell own sectors from the parent's, so those of new places are clear.</param>
internal sealed class VhdPlaces(IStorageFile file, VhdBlocks blocks, bool hasParent)
{
    private readonly Lock _gate = new();
    private readonly Queue<FileRange> _freed = new();
    private readonly Queue<FileRange> _stale = new();
    private readonly Queue<FileRange> _punched = new();
    private readonly Stack<FileRange> _clean = new();
    private readonly List<FileRange> _inWork = [];
    private long _freedEver;
    private long _staleEver;
    private long _punchedEver;
    private long _cleanedEver;

    /// <summary>Adds what nobody owned when the file was opened. Its content is unknown.</summary>
    public void AddGaps(List<FileRange> gaps)
    {
        lock (_gate)
        {
            foreach (var gap in gaps)
            {
                // A file may be longer than what the 32 bits of an entry can name.
                var start = blocks.AlignPlace(gap.Start);
                var end = Math.Min(gap.End, VhdFormat.MaxFileLength);
                if (end - start >= blocks.PlaceLength)
                    _stale.Enqueue(new FileRange(start, end - start));
            }
        }
    }

    /// <summary>Adds what reads as zeroes after any power cut.</summary>
    public void AddClean(FileRange range)
    {
        lock (_gate)
            _clean.Push(range);
    }

    /// <summary>Fills the bitmaps of places that read as zeroes; to be called before the barrier that makes them clean.</summary>
    /// <exception cref="StorageException">The file failed; the places are not to be used.</exception>
    public async ValueTask PrepareAsync(FileRange range)
    {
        if (hasParent)
            return;
        var full = new byte[blocks.BitmapLength];
        full.AsSpan().Fill(0xff);
        for (var place = range.Start; place + blocks.PlaceLength <= Math.Min(range.End, file.Length); place += blocks.Step)
            await file.WriteAsync(place, full, CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>A clean place, or null.</summary>
    public long? TakeClean()
    {
        lock (_gate)
        {
            while (_clean.TryPop(out var range))
            {
                if (range.Length < blocks.PlaceLength)
                    continue;
                if (range.Length >= blocks.Step + blocks.PlaceLength)
                    _clean.Push(new FileRange(range.Start + blocks.Step, range.Length - blocks.Step));
                return range.Start;
            }

            return null;
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
            _staleEver = _freedEver;
            _cleanedEver = _punchedEver;
        }
    }

    /// <summary>Whether a part of the file is, or is about to be, a free place. Nothing else may be put there.</summary>
    public bool MayUse(long start, long end)
    {
        lock (_gate)
            return _freed.Concat(_stale).Concat(_punched).Concat(_clean).Concat(_inWork).Any(range => range.Start < end && range.End > start);
    }

    /// <summary>Takes back the place of a block whose entry has just been cleared.</summary>
    public void Free(long place)
    {
        lock (_gate)
        {
            _freed.Enqueue(new FileRange(place, blocks.PlaceLength));
            _freedEver++;
        }
    }

    /// <summary>Takes back a place that was handed out but never got into the table.</summary>
    public void GiveBack(long place)
    {
        lock (_gate)
            _stale.Enqueue(new FileRange(place, blocks.PlaceLength));
    }

    /// <summary>To be called before a barrier.</summary>
    public (long Freed, long Punched) Mark()
    {
        lock (_gate)
            return (_freedEver, _punchedEver);
    }

    /// <summary>To be called after the barrier: what was freed is stale now, what was punched is clean.</summary>
    public void Settle((long Freed, long Punched) mark)
    {
        lock (_gate)
        {
            for (; _staleEver < mark.Freed; _staleEver++)
                _stale.Enqueue(_freed.Dequeue());
            for (; _cleanedEver < mark.Punched; _cleanedEver++)
                _clean.Push(_punched.Dequeue());
        }
    }

    /// <summary>Punches stale places. Gives their disk space back as well.</summary>
    /// <param name="limit">Stops after about this many bytes, so that one flush does not take too long.</param>
    /// <param name="reuse">Makes them ready for blocks too; not worth it when the disk is being closed.</param>
    /// <returns>Something was punched: the next barrier has something to do.</returns>
    public async ValueTask<bool> PunchStaleAsync(long limit, bool reuse)
    {
        var any = false;
        while (limit > 0 && TakeStale(limit) is FileRange range)
        {
            limit -= range.Length;
            var done = await TryPunchAsync(range, reuse).ConfigureAwait(false);
            any |= done;
            lock (_gate)
            {
                _inWork.Remove(range);
                if (!done || !reuse)
                    continue;
                _punched.Enqueue(range);
                _punchedEver++;
            }
        }

        return any;
    }

    private async ValueTask<bool> TryPunchAsync(FileRange range, bool reuse)
    {
        try
        {
            await file.PunchHoleAsync(range.Start, Math.Min(range.Length, file.Length - range.Start), CancellationToken.None).ConfigureAwait(false);
            if (reuse)
                await PrepareAsync(range).ConfigureAwait(false);
            return true;
        }
        catch (StorageException)
        {
            // Only free space is concerned: it stays unused until the next open, nothing else is lost.
            return false;
        }
    }

    private FileRange? TakeStale(long limit)
    {
        lock (_gate)
        {
            if (!_stale.TryDequeue(out var range))
                return null;
            var part = Math.Max(1, limit / blocks.Step) * blocks.Step;
            if (range.Length > part && range.Length - part >= blocks.PlaceLength)
            {
                _stale.Enqueue(new FileRange(range.Start + part, range.Length - part));
                range = new FileRange(range.Start, part);
            }

            _inWork.Add(range);
            return range;
        }
    }
}
