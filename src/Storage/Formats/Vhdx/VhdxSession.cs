using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>One opening for writing: from the first change of the file to its clean end.</summary>
/// <remarks>
/// <para>Nothing is written before the first change. Then, in this order: new identities in the headers; the change; for a
/// change of the table one log entry before the change is shown to anybody; flushes only when asked for or when the log is full.</para>
/// <para>All members may be called from any thread.</para>
/// </remarks>
internal sealed class VhdxSession : IDisposable
{
    private const long PunchPerFlush = 1L << 30;

    private readonly IStorageFile _file;
    private readonly VhdxHeaders _headers;
    private readonly BlockAllocationTable _table;
    private readonly VhdxSpace _space;
    private readonly Func<Guid> _newGuid;
    private readonly VhdxFault _fault;
    private readonly VhdxLogRing _ring;
    private readonly VhdxBarrier _barrier;
    private readonly VhdxLogWriter _log;
    private readonly SemaphoreSlim _starting = new(1, 1);
    private readonly SemaphoreSlim _logging = new(1, 1);
    private VhdxLogBatch? _batch;
    private bool _started;
    private long _changes;
    private long _flushedChanges;

    public VhdxSession(IStorageFile file, VhdxHeaders headers, BlockAllocationTable table, VhdxSpace space, Func<Guid> newGuid)
    {
        _file = file;
        _headers = headers;
        _table = table;
        _space = space;
        _newGuid = newGuid;
        _fault = new VhdxFault(file);
        _ring = new VhdxLogRing(headers.Current.LogLength);
        _barrier = new VhdxBarrier(file, _fault, _ring, space);
        _log = new VhdxLogWriter(file, headers, _ring, _barrier, _fault, newGuid);
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
    /// <param name="changes">Different blocks, in rising order. On failure some of them may have taken effect: look at the table.</param>
    /// <returns>The log entry that covers them all, or a later one.</returns>
    /// <exception cref="StorageException">NoSpace: try again later. Anything else stops all writing.</exception>
    public async ValueTask<ulong> CommitAsync(List<BatChange> changes)
    {
        await _logging.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            _fault.ThrowIfSet();
            _batch ??= new VhdxLogBatch();
            for (var next = 0; next < changes.Count;)
            {
                var first = next;
                next = FillBatch(changes, first);
                await _log.AppendAsync(_batch).ConfigureAwait(false);
                for (var index = first; index < next; index++)
                    _table.Publish(changes[index].Block, changes[index].Entry);
                Changed();
            }

            return _ring.Sequence;
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

            await _log.AppendAsync(_batch).ConfigureAwait(false);
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

    /// <summary>Makes every change that has completed survive a power cut: one flush of the file, none when nothing has changed.</summary>
    public ValueTask FlushAsync()
    {
        _fault.ThrowIfSet();
        return Volatile.Read(ref _changes) == Volatile.Read(ref _flushedChanges) ? ValueTask.CompletedTask : FlushChangesAsync(PunchPerFlush);
    }

    /// <summary>Leaves a file with nothing to replay. After a failure nothing is written: the next open replays the log.</summary>
    public async ValueTask EndAsync()
    {
        if (!_started || _fault.IsSet)
            return;
        await _logging.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            if (_changes != _flushedChanges)
                await FlushChangesAsync(long.MaxValue).ConfigureAwait(false);
            await _log.EndAsync().ConfigureAwait(false);
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
            var header = _headers.Current with { FileWriteGuid = _newGuid(), DataWriteGuid = _newGuid() };
            await _headers.UpdateAsync(header, both: true, _barrier.FlushAsync).ConfigureAwait(false);
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
        await _barrier.FlushAsync().ConfigureAwait(false);
        for (var flushed = Volatile.Read(ref _flushedChanges); flushed < changes;)
        {
            var seen = Interlocked.CompareExchange(ref _flushedChanges, changes, flushed);
            flushed = seen == flushed ? changes : seen;
        }

        if (await _space.PunchStaleAsync(punchLimit).ConfigureAwait(false))
            Changed();
    }

    private int FillBatch(List<BatChange> changes, int next)
    {
        _batch!.Clear();
        for (; next < changes.Count; next++)
        {
            var offset = _table.PageOffsetOf(changes[next].Block);
            var page = _batch.Find(offset);
            if (page < 0)
            {
                if (_batch.IsFull)
                    break;
                page = _batch.Add(offset);
                _table.CopyPage(offset, _batch.Page(page));
            }

            _table.Patch(changes[next].Block, changes[next].Entry, _batch.Page(page));
        }

        return next;
    }
}
