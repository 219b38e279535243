using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Writes log entries and, when the log fills up, the logged pages to their places.</summary>
/// <remarks>
/// <para>An entry's tail is the oldest entry that still holds the newest image of a page not yet in its place. While all
/// changes go to one page (16 GiB of disk at 32 MiB blocks) every entry therefore stands alone.</para>
/// <para>Not thread-safe: one caller at a time.</para>
/// </remarks>
internal sealed class VhdxLogWriter(
    IStorageFile file, VhdxHeaders headers, VhdxLogRing ring, VhdxBarrier barrier, VhdxFault fault, Func<Guid> newGuid)
{
    // Room that stays free for the one entry that moves the tail once the pages are in their places.
    private const long Reserve = VhdxLogBatch.MaxLength + VhdxFormat.PageSize;

    // A file may come with a log of gigabytes; the copies of logged pages in memory stay within 16 MiB all the same.
    private const int MaxUnappliedPages = 4096;

    private readonly Dictionary<long, LoggedPage> _unapplied = [];
    private readonly Queue<(long Position, long FileOffset)> _order = new();
    private Guid _logGuid;

    /// <summary>The header names this log: a crash now leaves a log to replay.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>Writes one entry. When this returns it survives the death of the process; a barrier makes it survive a power cut.</summary>
    /// <exception cref="StorageException">NoSpace: nothing has changed, try again later. Anything else: unknown.</exception>
    public async ValueTask AppendAsync(VhdxLogBatch batch)
    {
        if (!HasBegun)
            _logGuid = newGuid();
        await MakeRoomAsync(batch.Length).ConfigureAwait(false);
        var position = ring.Head;
        var sequence = ring.Sequence + 1;
        var tail = TailBeside(batch, position);
        batch.Seal(new VhdxLogEntryHeader(
            (uint)batch.Length,
            (uint)(tail % ring.Length),
            sequence,
            (uint)batch.Count,
            _logGuid,
            VhdxFormat.AlignDown(barrier.StableLength, VhdxFormat.MiB),
            VhdxFormat.AlignUp(file.Length, VhdxFormat.MiB)));
        await WriteAsync(position, batch.Bytes).ConfigureAwait(false);
        batch.Unseal(sequence);
        ring.Advance(batch.Length, tail);
        Remember(batch, position);
        if (!HasBegun)
            await BeginAsync().ConfigureAwait(false);
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

    /// <summary>Names the log in the header, after the first entry is stable: a header that names a log without an entry
    /// would be a corrupt file.</summary>
    private async ValueTask BeginAsync()
    {
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

    private async ValueTask MakeRoomAsync(long length)
    {
        if (_unapplied.Count > MaxUnappliedPages)
        {
            await barrier.FlushAsync().ConfigureAwait(false);
            await ApplyAsync().ConfigureAwait(false);
        }

        if (ring.Free >= length + Reserve)
            return;

        // Often enough: with the newest entry stable, everything before its tail is free.
        await barrier.FlushAsync().ConfigureAwait(false);
        if (ring.Free >= length + Reserve)
            return;

        // The next entry needs no other one then. It goes to the reserve; the flush after it frees the rest.
        await ApplyAsync().ConfigureAwait(false);
    }

    /// <summary>Writes the pages to their places and flushes. Every entry is stable by now, so a torn page is repaired by the replay.</summary>
    private async ValueTask ApplyAsync()
    {
        if (_unapplied.Count == 0)
            return;
        foreach (var (offset, page) in _unapplied)
            await file.WriteAsync(offset, page.Image, CancellationToken.None).ConfigureAwait(false);
        await barrier.FlushAsync().ConfigureAwait(false);
        _unapplied.Clear();
        _order.Clear();
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
                _unapplied.Add(offset, page = new LoggedPage());
            batch.Page(index).CopyTo(page.Image);
            page.Position = position;
            _order.Enqueue((position, offset));
        }
    }

    private async ValueTask WriteAsync(long position, ReadOnlyMemory<byte> entry)
    {
        var at = position % ring.Length;
        var first = (int)Math.Min(entry.Length, ring.Length - at);
        await file.WriteAsync(headers.Current.LogOffset + at, entry[..first], CancellationToken.None).ConfigureAwait(false);
        if (first < entry.Length)
            await file.WriteAsync(headers.Current.LogOffset, entry[first..], CancellationToken.None).ConfigureAwait(false);
    }

    private sealed class LoggedPage
    {
        public byte[] Image { get; } = new byte[VhdxFormat.PageSize];

        public long Position { get; set; }
    }
}
