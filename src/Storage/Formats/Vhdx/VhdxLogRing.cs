namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Where the log's ring is written next, and which part of it must not be overwritten.</summary>
/// <remarks>
/// Positions count bytes ever written; the place in the log is the position modulo its length. After a power cut the
/// newest stable entry rules, with everything from its tail on: that stretch stays untouched until a newer entry is sealed and
/// stable. One thread writes entries at a time; marks may be taken by any thread.
/// </remarks>
internal sealed class VhdxLogRing(long length)
{
    private readonly Lock _gate = new();
    private Mark _newest;
    private Mark _sealed;
    private Mark _stable;
    private long _head;

    /// <summary>What the newest entry at some moment said.</summary>
    /// <param name="Sequence">Its sequence number; 0 when there is none.</param>
    /// <param name="Tail">Position of the oldest entry it needs.</param>
    internal readonly record struct Mark(ulong Sequence, long Tail);

    /// <summary>Bytes of the ring.</summary>
    public long Length => length;

    /// <summary>Position of the next entry.</summary>
    public long Head => _head;

    /// <summary>Sequence number of the newest entry.</summary>
    public ulong Sequence => Newest.Sequence;

    /// <summary>The newest entry, sealed or not.</summary>
    public Mark Newest
    {
        get
        {
            lock (_gate)
                return _newest;
        }
    }

    /// <summary>There are entries that a power cut voids even when they are in the file.</summary>
    public bool HasUnsealed
    {
        get
        {
            lock (_gate)
                return _sealed.Sequence != _newest.Sequence;
        }
    }

    /// <summary>Bytes that may be written now.</summary>
    public long Free
    {
        get
        {
            lock (_gate)
                return length - (_head - _stable.Tail);
        }
    }

    /// <summary>Goes on behind entries that another process has written. None of them is known to be stable, so none is free.</summary>
    public void Continue(VhdxLogRun run)
    {
        lock (_gate)
        {
            _stable = new Mark(0, run.Start);
            _sealed = MarkOf(run, run.NewestSealed);
            _newest = MarkOf(run, run.Newest);
            _head = run.Head;
        }
    }

    /// <summary>The entry at the head is written completely.</summary>
    public void Advance(long entryLength, long tail, bool isSealed)
    {
        lock (_gate)
        {
            _newest = new Mark(_newest.Sequence + 1, tail);
            _head += entryLength;
            if (isSealed)
                _sealed = _newest;
        }
    }

    /// <summary>An entry, and all before it that it needs, have their true checksums.</summary>
    public void MarkSealed(Mark mark)
    {
        lock (_gate)
        {
            if (mark.Sequence > _sealed.Sequence)
                _sealed = mark;
        }
    }

    /// <summary>To be called before a barrier.</summary>
    /// <returns>The newest entry that the barrier will make survive a power cut.</returns>
    public Mark TakeMark()
    {
        lock (_gate)
            return _sealed;
    }

    /// <summary>To be called after the barrier with the mark taken before it.</summary>
    public void MarkStable(Mark mark)
    {
        lock (_gate)
        {
            if (mark.Sequence > _stable.Sequence)
                _stable = mark;
        }
    }

    private static Mark MarkOf(VhdxLogRun run, int index) =>
        new(run.Entries[index].Header.Sequence, run.PositionOf(run.TailOf(index)));
}
