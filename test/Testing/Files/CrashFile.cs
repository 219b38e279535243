using Godwit.Storage;
using Godwit.Storage.Files;

namespace Godwit.Testing.Files;

/// <summary>What a power cut leaves of the changes that were not flushed.</summary>
public enum PowerCut
{
    /// <summary>Nothing of them.</summary>
    FlushedOnly = 0,

    /// <summary>All of them.</summary>
    Everything = 1,

    /// <summary>Some of them, each torn at 512-byte sectors, chosen by the seed.</summary>
    RandomSubset = 2,
}

/// <summary>
/// A file that remembers the order of its changes and can show what a crash after any of them would have left.
/// </summary>
/// <remarks>"After event N" means that the first N changes had completed. A crash image is a file of its own; this one
/// goes on. Images for rising N are cheap, so loop upwards.</remarks>
public sealed class CrashFile : IStorageFile
{
    private readonly MemoryFile _start;
    private readonly List<FileEvent> _events = [];
    private readonly Lock _gate = new();
    private MemoryFile _now;
    private CrashReplay _replay;

    /// <summary>Creates an empty file, or one that starts with a durable content.</summary>
    public CrashFile(MemoryFile? start = null, string path = "crash")
    {
        Path = path;
        _start = start?.Copy() ?? new MemoryFile(path: path);
        _now = _start.Copy();
        _replay = new CrashReplay(_start);
    }

    public string Path { get; }

    public bool IsReadOnly => false;

    public long Length => _now.Length;

    /// <summary>Lets a flush complete later, on another thread, as a real one does; changes made meanwhile are not covered.</summary>
    public bool FlushesYield { get; init; }

    /// <summary>Lets every other change happen later, on another thread, so that requests overtake each other.</summary>
    public bool ChangesYield { get; init; }

    /// <summary>How many changes have completed.</summary>
    public int EventCount
    {
        get
        {
            lock (_gate)
                return _events.Count;
        }
    }

    /// <summary>The changes in the order they completed.</summary>
    public IReadOnlyList<FileEvent> Events
    {
        get
        {
            lock (_gate)
                return [.. _events];
        }
    }

    /// <summary>Opens the same file again after its owner disposed it.</summary>
    public CrashFile Reopen()
    {
        lock (_gate)
            _now = _now.Reopen();
        return this;
    }

    /// <summary>The file as it may be when the power fails after <paramref name="events"/> changes.</summary>
    /// <param name="events">0 to <see cref="EventCount"/>.</param>
    /// <param name="left">What is left of the changes no flush covers.</param>
    /// <param name="seed">Chooses among the possible states; only for <see cref="PowerCut.RandomSubset"/>.</param>
    public MemoryFile AfterPowerCut(int events, PowerCut left, int seed = 0)
    {
        lock (_gate)
            return ReplayTo(events).PowerCut(left, seed, Path);
    }

    /// <summary>Every file a power cut after <paramref name="events"/> changes may leave when each change that no flush covers
    /// is either there as a whole or not at all. Two to the power of their number.</summary>
    public IEnumerable<(string Kept, MemoryFile File)> AfterEveryPowerCut(int events)
    {
        var count = WithReplay(events, static replay => replay.UnflushedCount);
        for (var kept = 0L; kept < 1L << count; kept++)
        {
            var chosen = kept;
            yield return ($"kept {Convert.ToString(kept, 2).PadLeft(count, '0')}", WithReplay(events, replay => replay.PowerCut(chosen, Path)));
        }
    }

    /// <summary>The file when the process is killed after <paramref name="events"/> changes: everything that completed.</summary>
    public MemoryFile AfterKill(int events)
    {
        lock (_gate)
            return ReplayTo(events).Kill(Path);
    }

    /// <summary>The file when the process is killed in the middle of change <paramref name="events"/> + 1.</summary>
    public MemoryFile AfterKillInside(int events, int seed)
    {
        lock (_gate)
            return ReplayTo(events).KillInside(_events[events], seed, Path);
    }

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        _now.ReadAsync(offset, buffer, cancellationToken);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken) =>
        ChangeAsync(new FileEvent(FileOperation.Write, offset, buffer.Length, buffer.ToArray()));

    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        await _now.FlushAsync(cancellationToken);
        var covered = EventCount;
        if (FlushesYield)
            await Task.Yield();
        lock (_gate)
            _events.Add(new FileEvent(FileOperation.Flush, covered, 0, default));
    }

    public ValueTask SetLengthAsync(long length, CancellationToken cancellationToken) =>
        ChangeAsync(new FileEvent(FileOperation.SetLength, length, 0, default));

    public ValueTask PunchHoleAsync(long offset, long length, CancellationToken cancellationToken) =>
        ChangeAsync(new FileEvent(FileOperation.PunchHole, offset, length, default));

    public ValueTask AllocateZeroesAsync(long offset, long length, CancellationToken cancellationToken) =>
        ChangeAsync(new FileEvent(FileOperation.AllocateZeroes, offset, length, default));

    public ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken) =>
        _now.GetExtentAsync(offset, length, cancellationToken);

    public ValueTask DisposeAsync() => _now.DisposeAsync();

    private ValueTask ChangeAsync(FileEvent change) => ChangesYield ? ChangeLaterAsync(change) : ChangeNowAsync(change);

    private async ValueTask ChangeLaterAsync(FileEvent change)
    {
        await Task.Yield();
        await ChangeNowAsync(change);
    }

    private ValueTask ChangeNowAsync(FileEvent change)
    {
        // Applied and logged as one step: the log's order is the order in which the file changed.
        lock (_gate)
        {
            var result = CrashReplay.ApplyAsync(_now, change);
            if (result.IsCompletedSuccessfully)
                _events.Add(change);
            return result;
        }
    }

    private T WithReplay<T>(int events, Func<CrashReplay, T> look)
    {
        lock (_gate)
            return look(ReplayTo(events));
    }

    private CrashReplay ReplayTo(int events)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(events, _events.Count);
        if (events < _replay.Position)
            _replay = new CrashReplay(_start);
        _replay.Advance(_events, events);
        return _replay;
    }
}
