using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>One opening for writing: counts changes, flushes them, and remembers the failure that ended it.</summary>
/// <remarks>The one place that flushes the file. Any number of flushes may run at the same time; each vouches for what was
/// complete when it began. All members may be called from any thread.</remarks>
internal sealed class VhdSession(IStorageFile file, VhdPlaces? places, long punchPerFlush)
{
    private readonly VhdxFault _fault = new(file);
    private long _changes;

    // The first flush is always a real one: the process before this one may have been killed with writes it had acknowledged
    // and not flushed, and whoever asks now means those as well.
    private long _flushedChanges = -1;

    /// <summary>Changes are accepted.</summary>
    public bool IsReady => !_fault.IsSet;

    /// <summary>Something was changed since the disk was opened.</summary>
    public bool HasChanged => Volatile.Read(ref _changes) != 0;

    /// <summary>To be called before every change.</summary>
    /// <exception cref="StorageException">Closed: an earlier failure stopped all writing.</exception>
    public void ThrowIfOver() => _fault.ThrowIfSet();

    /// <summary>To be called when a change of the file has completed: the next flush has something to do.</summary>
    public void Changed() => Interlocked.Increment(ref _changes);

    /// <summary>Ends all writing: what the file holds is not known any more.</summary>
    public void Fail(StorageException cause) => _fault.Set(cause);

    /// <summary>Makes every change that has completed survive a power cut; nothing to do when nothing
    /// has changed since the last flush.</summary>
    public ValueTask FlushAsync()
    {
        _fault.ThrowIfSet();
        return Volatile.Read(ref _changes) == Volatile.Read(ref _flushedChanges) ? ValueTask.CompletedTask : BarrierAsync(punchPerFlush);
    }

    /// <summary>The last flush of an opening; gives the space of places nobody has back to the file system.</summary>
    public async ValueTask EndAsync()
    {
        await BarrierAsync(0).ConfigureAwait(false);
        if (places is not null && await places.PunchStaleAsync(long.MaxValue, reuse: false).ConfigureAwait(false))
            Changed();
    }

    /// <summary>Flushes, whatever the count of changes says, and punches up to so many bytes of free places.</summary>
    public async ValueTask BarrierAsync(long punchLimit)
    {
        var changes = Volatile.Read(ref _changes);
        var mark = places?.Mark() ?? default;
        try
        {
            await file.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (StorageException failure)
        {
            // The kernel may have dropped pages, so nothing written since the last flush is known to be there.
            _fault.Set(failure);
            throw;
        }

        places?.Settle(mark);
        for (var flushed = Volatile.Read(ref _flushedChanges); flushed < changes;)
        {
            var seen = Interlocked.CompareExchange(ref _flushedChanges, changes, flushed);
            flushed = seen == flushed ? changes : seen;
        }

        if (places is not null && punchLimit > 0 && await places.PunchStaleAsync(punchLimit, reuse: true).ConfigureAwait(false))
            Changed();
    }
}
