using System.Buffers;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>The sector bitmaps of a differencing disk, in pages that are read when needed and leave memory again.</summary>
/// <remarks>
/// <para>Any thread may ask at any time without a lock. One writer at a time: the holder of the log. Bits of a block with a
/// place only ever become set, so a reader that holds on to a page that has left memory sees at worst what was true when it began.</para>
/// <para>A page that the log has changed stays in memory until the log is applied; every other page can be read again.</para>
/// </remarks>
/// <param name="file">The image.</param>
/// <param name="table">Says where the bitmaps are.</param>
/// <param name="capacity">Pages to keep in memory; 4 KiB each.</param>
internal sealed class SectorBitmaps(IStorageFile file, BlockAllocationTable table, int capacity)
{
    /// <summary>8 MiB, which serve 32 GiB of 512-byte sectors that are written here and there.</summary>
    public const int DefaultCapacity = 2048;

    /// <summary>Pages of one bitmap.</summary>
    public const int PagesPerChunk = 1 << PagesPerChunkShift;

    private const int PagesPerChunkShift = 8;

    private readonly Lock _gate = new();
    private readonly Queue<BitmapPage> _kept = new();
    private readonly List<(BitmapPage Page, int InBatch)> _staged = [];
    private readonly byte[] _image = new byte[VhdxFormat.PageSize];
    private BitmapPage?[]?[] _chunks = new BitmapPage?[table.Geometry.ChunkCount][];
    private ulong _appliedThrough;

    /// <summary>Counts sectors that are alike when their page is in memory. Never waits, allocates nothing.</summary>
    /// <param name="sector">The first one, of the disk.</param>
    /// <param name="max">Where to stop.</param>
    /// <param name="isSet">They are the file's own.</param>
    /// <param name="count">How many; runs end with pages.</param>
    public bool TryCountAlike(long sector, int max, out bool isSet, out int count)
    {
        if (Find(sector >> BitmapPage.Shift) is BitmapPage page)
        {
            if (!page.WasUsed)
                page.WasUsed = true;
            count = page.CountAlike((int)(sector & (BitmapPage.SectorCount - 1)), max, out isSet);
            return true;
        }

        isSet = false;
        count = 0;
        return false;
    }

    /// <summary>Counts sectors that are alike; reads their page when it is not in memory.</summary>
    /// <exception cref="StorageException">Corrupt: there is no bitmap; or the file failed.</exception>
    public async ValueTask<(int Count, bool IsSet)> CountAlikeAsync(long sector, int max, CancellationToken cancellationToken)
    {
        var page = await LoadAsync(sector >> BitmapPage.Shift, cancellationToken).ConfigureAwait(false);
        var count = page.CountAlike((int)(sector & (BitmapPage.SectorCount - 1)), max, out var isSet);
        return (count, isSet);
    }

    /// <summary>Whether all these sectors are the file's own; reads pages that are not in memory.</summary>
    public async ValueTask<bool> AreSetAsync(long sector, long count, CancellationToken cancellationToken)
    {
        while (count > 0)
        {
            var (alike, isSet) = await CountAlikeAsync(
                sector, (int)Math.Min(count, BitmapPage.SectorCount), cancellationToken).ConfigureAwait(false);
            if (!isSet)
                return false;
            sector += alike;
            count -= alike;
        }

        return true;
    }

    /// <summary>Adds the pages a change concerns to a log entry, as they will be. The caller holds the log.</summary>
    /// <param name="change">The change; its bitmap is present.</param>
    /// <param name="batch">The entry in the making.</param>
    /// <param name="sequence">Its number.</param>
    public async ValueTask StageAsync(BitmapChange change, VhdxLogBatch batch, ulong sequence)
    {
        for (var number = change.From >> BitmapPage.Shift; number <= (change.To - 1) >> BitmapPage.Shift; number++)
        {
            var offset = await OffsetOfAsync(number, CancellationToken.None).ConfigureAwait(false);
            var inBatch = batch.Find(offset);
            if (inBatch >= 0)
            {
                BitmapPage.Patch(number, batch.Page(inBatch), change);
                continue;
            }

            var page = await PinAsync(number, sequence).ConfigureAwait(false);
            page.CopyTo(_image);
            if (!BitmapPage.Patch(number, _image, change))
                continue;
            inBatch = batch.Add(offset);
            _image.CopyTo(batch.Page(inBatch));
            _staged.Add((page, inBatch));
        }
    }

    /// <summary>Forgets what was staged: the log entry was not written, or a new one begins.</summary>
    public void Unstage() => _staged.Clear();

    /// <summary>Shows the staged pages to everybody; they are in the log by now.</summary>
    public void PublishStaged(VhdxLogBatch batch)
    {
        foreach (var (page, inBatch) in _staged)
            page.Load(batch.Page(inBatch));
        _staged.Clear();
    }

    /// <summary>Takes a page as the log has it; the file has it only when that entry is applied.</summary>
    /// <param name="number">Which page, counted over all bitmaps of the disk.</param>
    /// <param name="image">4 KiB.</param>
    /// <param name="sequence">The log entry, or a later one.</param>
    public void Restore(long number, ReadOnlySpan<byte> image, ulong sequence)
    {
        lock (_gate)
            Keep(number, image).LoggedIn = sequence;
    }

    /// <summary>The pages that this log entry and all before it hold are in their places in the file.</summary>
    public void MarkApplied(ulong sequence)
    {
        lock (_gate)
            _appliedThrough = sequence;
    }

    private BitmapPage? Find(long number)
    {
        var chunks = Volatile.Read(ref _chunks);
        var chunk = number >> PagesPerChunkShift;
        return chunk < chunks.Length && Volatile.Read(ref chunks[chunk]) is BitmapPage?[] pages
            ? Volatile.Read(ref pages[number & (PagesPerChunk - 1)])
            : null;
    }

    private async ValueTask<long> OffsetOfAsync(long number, CancellationToken cancellationToken)
    {
        var chunk = number >> PagesPerChunkShift;
        var entry = await table.GetEntryAsync(table.Geometry.BitmapEntryOf(chunk), cancellationToken).ConfigureAwait(false);
        if (entry.State != BlockState.FullyPresent)
        {
            throw new StorageException(StorageErrorKind.Corrupt,
                $"chunk {chunk} has a partially present block but no sector bitmap", file.Path, operation: "read the sector bitmap");
        }

        return entry.Offset + ((number & (PagesPerChunk - 1)) * VhdxFormat.PageSize);
    }

    private async ValueTask<BitmapPage> PinAsync(long number, ulong sequence)
    {
        while (true)
        {
            var page = await LoadAsync(number, CancellationToken.None).ConfigureAwait(false);
            lock (_gate)
            {
                if (Find(number) != page)
                    continue;
                page.LoggedIn = sequence;
                return page;
            }
        }
    }

    private async ValueTask<BitmapPage> LoadAsync(long number, CancellationToken cancellationToken)
    {
        if (Find(number) is BitmapPage present)
            return present;
        var offset = await OffsetOfAsync(number, cancellationToken).ConfigureAwait(false);
        var buffer = ArrayPool<byte>.Shared.Rent(VhdxFormat.PageSize);
        try
        {
            while (true)
            {
                // A page that was changed and applied and has left since this moment would be older in the buffer than in the file.
                var applied = Volatile.Read(ref _appliedThrough);
                await file.ReadAsync(offset, buffer.AsMemory(0, VhdxFormat.PageSize), cancellationToken).ConfigureAwait(false);
                lock (_gate)
                {
                    if (Find(number) is BitmapPage meanwhile)
                        return meanwhile;
                    if (applied == _appliedThrough)
                        return Keep(number, buffer);
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Takes a page into memory and lets others go for it. Called under the gate.</summary>
    private BitmapPage Keep(long number, ReadOnlySpan<byte> bytes)
    {
        var chunk = number >> PagesPerChunkShift;
        if (chunk >= _chunks.Length)
        {
            var more = new BitmapPage?[table.Geometry.ChunkCount][];
            _chunks.CopyTo(more, 0);
            Volatile.Write(ref _chunks, more);
        }

        if (_chunks[chunk] is null)
            Volatile.Write(ref _chunks[chunk], new BitmapPage?[PagesPerChunk]);
        var page = new BitmapPage(number);
        page.Load(bytes);
        Volatile.Write(ref _chunks[chunk]![number & (PagesPerChunk - 1)], page);

        // The new page is not asked: who wants to pin it must find it.
        for (var steps = 2 * _kept.Count; _kept.Count >= capacity && steps > 0; steps--)
            LetGo(_kept.Dequeue());
        _kept.Enqueue(page);
        return page;
    }

    /// <summary>Lets a page go unless it was used since it was last asked, or the file does not have it yet.</summary>
    private void LetGo(BitmapPage page)
    {
        if (!page.WasUsed && page.LoggedIn <= _appliedThrough)
        {
            Volatile.Write(ref _chunks[page.Number >> PagesPerChunkShift]![page.Number & (PagesPerChunk - 1)], null);
            return;
        }

        page.WasUsed = false;
        _kept.Enqueue(page);
    }
}
