using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>One opening for writing: from the first change of the file to its clean end.</summary>
/// <remarks>
/// <para>Nothing is written before the first change. Then, in this order: new identities in the headers and a new log, unless the one of a
/// killed process is continued; the change; for a change of the table one log entry before the change is shown to anybody; flushes only
/// when asked for or when the log is full.</para>
/// <para>All members may be called from any thread.</para>
/// </remarks>
internal sealed class VhdxSession : IDisposable
{
    private const long PunchPerFlush = 1L << 30;

    private readonly IStorageFile _file;
    private readonly VhdxHeaders _headers;
    private readonly BlockAllocationTable _table;
    private readonly SectorBitmaps? _bitmaps;
    private readonly VhdxSpace _space;
    private readonly Func<Guid> _newGuid;
    private bool _keepsDataWriteGuid;
    private readonly VhdxFault _fault;
    private readonly VhdxLogRing _ring;
    private readonly VhdxBarrier _barrier;
    private readonly VhdxLogWriter _log;
    private readonly SemaphoreSlim _starting = new(1, 1);
    private readonly SemaphoreSlim _logging = new(1, 1);
    private VhdxLogBatch? _batch;
    private bool _started;
    // One from the start: what a killed process has acknowledged but not flushed is for this session to flush.
    private long _changes = 1;
    private long _flushedChanges;

    public VhdxSession(
        IStorageFile file, VhdxHeaders headers, BlockAllocationTable table, SectorBitmaps? bitmaps, VhdxSpace space,
        VhdxOpenOptions options, VhdxLogLeft? left = null)
    {
        _file = file;
        _headers = headers;
        _table = table;
        _bitmaps = bitmaps;
        _space = space;
        _newGuid = options.NewGuid;
        _keepsDataWriteGuid = options.KeepsDataWriteGuid;
        _fault = new VhdxFault(file);
        _ring = new VhdxLogRing(headers.Current.LogLength);
        _barrier = new VhdxBarrier(file, _fault, _ring, space, left?.StableLength ?? 0);
        _log = new VhdxLogWriter(file, headers, _ring, _barrier, _fault, table, bitmaps, _newGuid, options.BootId);
        if (left is not null)
            _log.Continue(left);
    }

    /// <summary><see cref="PrepareAsync"/> has nothing to do.</summary>
    public bool IsReady => Volatile.Read(ref _started) && !_fault.IsSet;

    /// <summary>To be awaited before every change of the file. Completes synchronously but for the first time.</summary>
    /// <exception cref="StorageException">Closed: an earlier failure stopped all writing.</exception>
    public ValueTask PrepareAsync(CancellationToken cancellationToken)
    {
        _fault.ThrowIfSet();
        return Volatile.Read(ref _started) ? ValueTask.CompletedTask : StartAsync(cancellationToken);
    }

    /// <summary>To be called when a change of the file has completed: the next flush has something to do.</summary>
    public void Changed() => Interlocked.Increment(ref _changes);

    /// <summary>Logs new entries of the table and then shows them to everybody.</summary>
    /// <param name="changes">Different entries, in rising order. On failure some of them may have taken effect: look at the table.</param>
    /// <returns>The log entry that covers them all, or a later one.</returns>
    /// <exception cref="StorageException">NoSpace, or a page could not be read: try again later. Anything else stops all writing.</exception>
    public async ValueTask<ulong> CommitAsync(List<BatChange> changes)
    {
        await _logging.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        var writing = false;
        try
        {
            _fault.ThrowIfSet();
            _batch ??= new VhdxLogBatch();
            for (var next = 0; next < changes.Count;)
            {
                var first = next;
                next = await FillBatchAsync(changes, first).ConfigureAwait(false);
                if (_batch.Count == 0)
                    continue;
                var overParent = changes.FindIndex(first, next - first, static change => change.OverParent) >= 0;
                writing = true;
                await _log.AppendAsync(_batch, overParent).ConfigureAwait(false);
                writing = false;

                // The bits first: nobody looks at them before the block is partially present.
                _bitmaps?.PublishStaged(_batch);
                for (var index = first; index < next; index++)
                    _table.Publish(changes[index].Index, changes[index].Entry);
                Changed();
            }

            return _ring.Sequence;
        }
        catch (StorageException failure) when (writing && failure.Kind != StorageErrorKind.NoSpace)
        {
            _fault.Set(failure);
            throw;
        }
        finally
        {
            _logging.Release();
        }
    }

    /// <summary>Gives the disk a new DataWriteGuid when this opening was to keep it: what a guest reads is about to change after all.</summary>
    /// <exception cref="StorageException">A header could not be written: all writing has stopped.</exception>
    public async ValueTask ChangeIdentityAsync()
    {
        if (!_keepsDataWriteGuid)
            return;
        await PrepareAsync(CancellationToken.None).ConfigureAwait(false);
        await _logging.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            _fault.ThrowIfSet();
            await _headers.UpdateAsync(
                _headers.Current with { DataWriteGuid = _newGuid() }, both: true, _barrier.FlushAsync).ConfigureAwait(false);
            _keepsDataWriteGuid = false;
        }
        catch (StorageException failure)
        {
            _fault.Set(failure);
            throw;
        }
        finally
        {
            _logging.Release();
        }
    }

    /// <summary>Cuts the file behind everything that is owned. The log is ended first: an entry in it may ask for the old length.</summary>
    /// <exception cref="StorageException">The file failed; it is whole, at its old length or the new one.</exception>
    public async ValueTask CutAsync(long length)
    {
        await EndAsync().ConfigureAwait(false);
        _fault.ThrowIfSet();
        await _space.CutAsync(length).ConfigureAwait(false);
        _barrier.NoteCut(length);
        await _barrier.FlushAsync().ConfigureAwait(false);
    }

    /// <summary>The newest log entry; for space that is freed by an entry written before this call.</summary>
    public ulong NewestSequence => _ring.Sequence;

    /// <summary>Logs a change of a few bytes outside the table.</summary>
    /// <param name="offset">Where in the file.</param>
    /// <param name="bytes">The new content, shorter than a page.</param>
    public async ValueTask CommitBytesAsync(long offset, ReadOnlyMemory<byte> bytes)
    {
        await _logging.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            _fault.ThrowIfSet();
            _batch ??= new VhdxLogBatch();
            _batch.Clear();
            var page = new byte[VhdxFormat.PageSize];
            for (var at = VhdxFormat.AlignDown(offset, page.Length); at < offset + bytes.Length; at += page.Length)
            {
                if (!_log.TryCopyUnapplied(at, page))
                    await _file.ReadAsync(at, page, CancellationToken.None).ConfigureAwait(false);
                for (var index = 0; index < bytes.Length; index++)
                {
                    if (offset + index - at is >= 0 and < VhdxFormat.PageSize and var inPage)
                        page[inPage] = bytes.Span[index];
                }

                page.CopyTo(_batch.Page(_batch.Add(at)));
            }

            await _log.AppendAsync(_batch, overParent: false).ConfigureAwait(false);
            Changed();
        }
        catch (StorageException failure) when (failure.Kind != StorageErrorKind.NoSpace)
        {
            _fault.Set(failure);
            throw;
        }
        finally
        {
            _logging.Release();
        }
    }

    /// <summary>Makes every change that has completed survive a power cut: one flush of the file, two when bytes became visible
    /// where a parent's were, none when nothing has changed.</summary>
    public ValueTask FlushAsync()
    {
        _fault.ThrowIfSet();
        return Volatile.Read(ref _changes) == Volatile.Read(ref _flushedChanges) ? ValueTask.CompletedTask : FlushChangesAsync(PunchPerFlush);
    }

    /// <summary>Leaves a file with nothing to replay. After a failure nothing is written: the next open replays the log.</summary>
    public async ValueTask EndAsync()
    {
        if (_fault.IsSet)
            return;
        if (!_started && !_log.HasBegun)
        {
            // Not a change of the file, but a killed process may have left what it had acknowledged to be flushed.
            if (_changes != _flushedChanges)
                await _barrier.FlushAsync().ConfigureAwait(false);
            return;
        }

        await _logging.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            if (_changes != _flushedChanges)
                await FlushChangesAsync(long.MaxValue).ConfigureAwait(false);
            await _log.EndAsync().ConfigureAwait(false);
            await _space.TrimAsync().ConfigureAwait(false);
            _barrier.NoteCut(_file.Length);
        }
        finally
        {
            _logging.Release();
        }
    }

    public void Dispose()
    {
        _starting.Dispose();
        _logging.Dispose();
        _log.Dispose();
        _space.Dispose();
    }

    private async ValueTask StartAsync(CancellationToken cancellationToken)
    {
        await _starting.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_started)
                return;
            _fault.ThrowIfSet();
            var header = _headers.Current with { FileWriteGuid = _newGuid() };
            if (!_keepsDataWriteGuid)
                header = header with { DataWriteGuid = _newGuid() };
            if (_log.HasBegun)
            {
                // The session of a killed process goes on: nothing waits for the storage.
                await _headers.RewriteWithoutBarrierAsync(header).ConfigureAwait(false);
                Changed();
            }
            else
            {
                // Stable, the name of no log included, before the log is written; its name replaces the other header.
                await _headers.UpdateAsync(header, both: false, _barrier.FlushAsync).ConfigureAwait(false);
                await _log.BeginAsync().ConfigureAwait(false);
            }

            Volatile.Write(ref _started, true);
        }
        finally
        {
            _starting.Release();
        }
    }

    private async ValueTask FlushChangesAsync(long punchLimit)
    {
        var changes = Volatile.Read(ref _changes);
        await _log.FlushAsync().ConfigureAwait(false);
        for (var flushed = Volatile.Read(ref _flushedChanges); flushed < changes;)
        {
            var seen = Interlocked.CompareExchange(ref _flushedChanges, changes, flushed);
            flushed = seen == flushed ? changes : seen;
        }

        if (await _space.PunchStaleAsync(punchLimit).ConfigureAwait(false))
            Changed();
    }

    /// <summary>Puts as many changes into the batch as fit; those of one block stay together.</summary>
    private async ValueTask<int> FillBatchAsync(List<BatChange> changes, int next)
    {
        _batch!.Clear();
        _bitmaps?.Unstage();
        for (; next < changes.Count; next++)
        {
            var change = changes[next];
            var pages = (change.Bits?.PageCount ?? 0) + (_batch.Find(_table.PageOffsetOf(change.Index)) < 0 ? 1 : 0);
            if (pages > _batch.Room)
                break;
            await _table.PinAsync(change.Index, _ring.Sequence + 1, CancellationToken.None).ConfigureAwait(false);
            if (await _table.GetEntryAsync(change.Index, CancellationToken.None).ConfigureAwait(false) != change.Entry)
                PatchTable(change);
            if (change.Bits is BitmapChange bits)
                await _bitmaps!.StageAsync(bits, _batch, _ring.Sequence + 1).ConfigureAwait(false);
        }

        return next;
    }

    private void PatchTable(BatChange change)
    {
        var offset = _table.PageOffsetOf(change.Index);
        var page = _batch!.Find(offset);
        if (page < 0)
        {
            page = _batch.Add(offset);
            _table.CopyPage(offset, _batch.Page(page));
        }

        BlockAllocationTable.Patch(change.Index, change.Entry, _batch.Page(page));
    }
}
