using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Writes log entries and, when the log fills up, the logged pages to their places.</summary>
/// <remarks>
/// <para>An entry's tail is the oldest entry that still holds the newest image of a page not yet in its place. While all
/// changes go to one page (16 GiB of disk at 32 MiB blocks) every entry therefore stands alone.</para>
/// <para>An entry that shows bytes of this file where the parent's were is written unsealed, and so is every entry after it until a
/// flush seals them: see <see cref="VhdxLogSeal"/>.</para>
/// <para>One caller at a time, but for <see cref="FlushAsync"/>, which any thread may call at any time.</para>
/// </remarks>
internal sealed class VhdxLogWriter(
    IStorageFile file, VhdxHeaders headers, VhdxLogRing ring, VhdxBarrier barrier, VhdxFault fault, BlockAllocationTable table,
    SectorBitmaps? bitmaps, Func<Guid> newGuid, Guid bootId) : IDisposable
{
    // Room that stays free for the one entry that moves the tail once the pages are in their places.
    private const long Reserve = VhdxLogBatch.MaxLength + VhdxFormat.PageSize;

    // A file may come with a log of gigabytes; the copies of logged pages in memory stay within 16 MiB all the same.
    public const int MaxUnappliedPages = 4096;

    private readonly Dictionary<long, LoggedPage> _unapplied = [];
    private readonly Queue<(long Position, long FileOffset)> _order = new();
    private readonly List<UnsealedEntry> _unsealed = [];
    private readonly SemaphoreSlim _sealing = new(1, 1);
    private Guid _logGuid;
    private uint _mask;

    /// <summary>The header names this log: a crash now leaves a log to replay.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>Writes one entry. When this returns it survives the death of the process; a flush makes it survive a power cut.</summary>
    /// <param name="batch">The pages.</param>
    /// <param name="overParent">It shows bytes that must be stable before it is.</param>
    /// <exception cref="StorageException">NoSpace: nothing has changed, try again later. Anything else: unknown.</exception>
    public async ValueTask AppendAsync(VhdxLogBatch batch, bool overParent)
    {
        if (!HasBegun)
            await BeginAsync().ConfigureAwait(false);
        await MakeRoomAsync(batch.Length).ConfigureAwait(false);

        // A power cut could keep the entry and lose the part of the file where its block is. A replay makes the file longer then
        // (LastFileOffset), but not QEMU's.
        await barrier.CoverGrowthAsync().ConfigureAwait(false);

        // Pages are whole, so an entry shows what the unsealed ones before it show.
        var isSealed = !overParent && !ring.HasUnsealed;
        var position = ring.Head;
        await WriteEntryAsync(batch, TailBeside(batch, position), isSealed).ConfigureAwait(false);
        Remember(batch, position);
    }

    /// <summary>Makes every entry written so far, and every change of the file before it, survive a power cut: one barrier, two
    /// when there are unsealed entries.</summary>
    /// <exception cref="StorageException">NoSpace: try again. Anything else is final.</exception>
    public async ValueTask FlushAsync()
    {
        var newest = ring.Newest;
        var wasSealed = ring.TakeMark().Sequence >= newest.Sequence;
        await barrier.FlushAsync().ConfigureAwait(false);
        if (wasSealed)
            return;
        await SealAsync(newest).ConfigureAwait(false);
        await barrier.FlushAsync().ConfigureAwait(false);
    }

    /// <summary>A page as the log has it, when it is not in its place yet.</summary>
    public bool TryCopyUnapplied(long fileOffset, Span<byte> destination)
    {
        if (!_unapplied.TryGetValue(fileOffset, out var page))
            return false;
        page.Image.CopyTo(destination);
        return true;
    }

    /// <summary>Brings every logged page to its place and says in the header that the log is empty.</summary>
    /// <remarks>The caller has flushed since the last entry.</remarks>
    public async ValueTask EndAsync()
    {
        if (!HasBegun)
            return;
        await ApplyAsync().ConfigureAwait(false);
        await headers.UpdateAsync(headers.Current with { LogGuid = Guid.Empty }, both: true, barrier.FlushAsync).ConfigureAwait(false);
        HasBegun = false;
    }

    public void Dispose() => _sealing.Dispose();

    /// <summary>Starts the log with an entry that changes nothing and names the log in the header once that entry is stable: a header
    /// that names a log without a valid entry would be a corrupt file, and the first real entry may have to stay unsealed.</summary>
    /// <remarks>No header names a log, and that is stable: its entries are overwritten.</remarks>
    /// <exception cref="StorageException">The file failed; once the entry is written that is final.</exception>
    public async ValueTask BeginAsync()
    {
        Name(VhdxLogName.Of(bootId, newGuid()));

        // Any page would do: none is waiting in the log, so the file has it as it is.
        var page = table.PageOffsetOf(0);
        var opening = new VhdxLogBatch(1);
        var image = new byte[VhdxFormat.PageSize];
        await file.ReadAsync(page, image, CancellationToken.None).ConfigureAwait(false);
        image.CopyTo(opening.Page(opening.Add(page)));
        await WriteEntryAsync(opening, ring.Head, isSealed: true).ConfigureAwait(false);
        try
        {
            await barrier.FlushAsync().ConfigureAwait(false);
            await headers.UpdateAsync(headers.Current with { LogGuid = _logGuid }, both: true, barrier.FlushAsync).ConfigureAwait(false);
        }
        catch (StorageException failure)
        {
            // Even for want of space: a header may name this log, so the entry must not be replaced by another log's.
            fault.Set(failure);
            throw;
        }

        HasBegun = true;
    }

    /// <summary>Takes over the log of a killed process, with everything in it that is not in its place.</summary>
    public void Continue(VhdxLogLeft left)
    {
        Name(headers.Current.LogGuid);
        var run = left.Run;
        ring.Continue(run);
        for (var index = run.NewestSealed + 1; index <= run.Newest; index++)
            _unsealed.Add(new UnsealedEntry(run.Entries[index].Header.Sequence, run.PositionOf(index), run.Entries[index].Unsealed!.Value));
        foreach (var (offset, page) in left.Pages.OrderBy(static page => page.Value.Position))
        {
            _unapplied.Add(offset, new LoggedPage(page.Image) { Position = page.Position });
            _order.Enqueue((page.Position, offset));
        }

        HasBegun = true;
    }

    private void Name(Guid logGuid)
    {
        _logGuid = logGuid;
        _mask = VhdxLogSeal.MaskOf(bootId, logGuid);
    }

    private async ValueTask MakeRoomAsync(long length)
    {
        if (_unapplied.Count > MaxUnappliedPages)
        {
            await FlushAsync().ConfigureAwait(false);
            await ApplyAsync().ConfigureAwait(false);
        }

        if (ring.Free >= length + Reserve)
            return;

        // Often enough: with the newest entry stable, everything before its tail is free.
        await FlushAsync().ConfigureAwait(false);
        if (ring.Free >= length + Reserve)
            return;

        // The next entry needs no other one then. It goes to the reserve; the flush after it frees the rest.
        await ApplyAsync().ConfigureAwait(false);
    }

    /// <summary>Writes the pages to their places and flushes. Every entry is sealed and stable by now, so a torn page is repaired
    /// by the replay.</summary>
    private async ValueTask ApplyAsync()
    {
        if (_unapplied.Count == 0)
            return;
        foreach (var (offset, page) in _unapplied)
            await file.WriteAsync(offset, page.Image, CancellationToken.None).ConfigureAwait(false);
        await barrier.FlushAsync().ConfigureAwait(false);
        table.MarkApplied(ring.Sequence);
        bitmaps?.MarkApplied(ring.Sequence);
        _unapplied.Clear();
        _order.Clear();
    }

    /// <summary>Writes the true checksums of the entries that the newest of them needs. Their bytes are stable.</summary>
    /// <remarks>Any of these writes may be what a power cut loses: each entry with everything from its tail on is a state of
    /// the disk that was complete at some moment, and the bytes of all of them are there.</remarks>
    private async ValueTask SealAsync(VhdxLogRing.Mark newest)
    {
        await _sealing.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            // Another flush may have failed meanwhile, and then the kernel may have dropped what this one waited for.
            fault.ThrowIfSet();
            foreach (var entry in Unsealed(newest))
            {
                var at = headers.Current.LogOffset + (entry.Position % ring.Length) + VhdxLogEntryHeader.ChecksumAt;
                await file.WriteAsync(at, VhdxLogSeal.ToBytes(entry.Checksum), CancellationToken.None).ConfigureAwait(false);
            }

            lock (_unsealed)
                _unsealed.RemoveAll(entry => entry.Sequence <= newest.Sequence);
            ring.MarkSealed(newest);
        }
        catch (StorageException failure) when (failure.Kind != StorageErrorKind.NoSpace)
        {
            fault.Set(failure);
            throw;
        }
        finally
        {
            _sealing.Release();
        }
    }

    private List<UnsealedEntry> Unsealed(VhdxLogRing.Mark newest)
    {
        lock (_unsealed)
            return _unsealed.FindAll(entry => entry.Sequence <= newest.Sequence && entry.Position >= newest.Tail);
    }

    /// <summary>The oldest entry needed when this batch is the newest one.</summary>
    private long TailBeside(VhdxLogBatch batch, long position)
    {
        while (_order.TryPeek(out var oldest) && _unapplied[oldest.FileOffset].Position != oldest.Position)
            _order.Dequeue();
        foreach (var (candidate, fileOffset) in _order)
        {
            if (batch.Find(fileOffset) < 0 && _unapplied[fileOffset].Position == candidate)
                return candidate;
        }

        return position;
    }

    private void Remember(VhdxLogBatch batch, long position)
    {
        for (var index = 0; index < batch.Count; index++)
        {
            var offset = batch.OffsetOf(index);
            if (!_unapplied.TryGetValue(offset, out var page))
                _unapplied.Add(offset, page = new LoggedPage(new byte[VhdxFormat.PageSize]));
            batch.Page(index).CopyTo(page.Image);
            page.Position = position;
            _order.Enqueue((position, offset));
        }
    }

    /// <summary>Writes an entry at the head of the ring.</summary>
    private async ValueTask WriteEntryAsync(VhdxLogBatch batch, long tail, bool isSealed)
    {
        var position = ring.Head;
        var sequence = ring.Sequence + 1;
        var header = new VhdxLogEntryHeader(
            (uint)batch.Length,
            (uint)(tail % ring.Length),
            sequence,
            (uint)batch.Count,
            _logGuid,
            VhdxFormat.AlignDown(barrier.StableLength, VhdxFormat.MiB),
            VhdxFormat.AlignUp(file.Length, VhdxFormat.MiB));
        var checksum = batch.ToEntry(header, isSealed ? 0 : _mask);
        try
        {
            await WriteAsync(position, batch.Bytes).ConfigureAwait(false);
        }
        finally
        {
            batch.ToPages(sequence);
        }

        if (!isSealed)
        {
            lock (_unsealed)
                _unsealed.Add(new UnsealedEntry(sequence, position, checksum));
        }

        ring.Advance(batch.Length, tail, isSealed);
    }

    private async ValueTask WriteAsync(long position, ReadOnlyMemory<byte> entry)
    {
        var at = position % ring.Length;
        var first = (int)Math.Min(entry.Length, ring.Length - at);
        await file.WriteAsync(headers.Current.LogOffset + at, entry[..first], CancellationToken.None).ConfigureAwait(false);
        if (first < entry.Length)
            await file.WriteAsync(headers.Current.LogOffset, entry[first..], CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>An entry that waits for its true checksum.</summary>
    private readonly record struct UnsealedEntry(ulong Sequence, long Position, uint Checksum);

    private sealed class LoggedPage(byte[] image)
    {
        public byte[] Image => image;

        public long Position { get; set; }
    }
}
