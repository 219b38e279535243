namespace Godwit.Testing.Files;

/// <summary>Walks a log of changes and keeps what is durable for sure apart from what has merely happened.</summary>
internal sealed class CrashReplay(MemoryFile start)
{
    private const int Sector = 512;
    private readonly MemoryFile _volatile = start.Copy();
    private readonly MemoryFile _durable = start.Copy();
    private readonly List<FileEvent> _unflushed = [];
    private int _durablePosition;

    /// <summary>How many changes have been walked.</summary>
    public int Position { get; private set; }

    /// <summary>Changes that no flush covers.</summary>
    public int UnflushedCount => _unflushed.Count(static change => change.Operation != FileOperation.Flush);

    public static ValueTask ApplyAsync(MemoryFile file, FileEvent change) => change.Operation switch
    {
        FileOperation.Write => file.WriteAsync(change.Offset, change.Bytes, CancellationToken.None),
        FileOperation.SetLength => file.SetLengthAsync(change.Offset, CancellationToken.None),
        FileOperation.PunchHole => file.PunchHoleAsync(change.Offset, change.Length, CancellationToken.None),
        FileOperation.AllocateZeroes => file.AllocateZeroesAsync(change.Offset, change.Length, CancellationToken.None),
        _ => ValueTask.CompletedTask,
    };

    public void Advance(List<FileEvent> events, int count)
    {
        for (; Position < count; Position++)
        {
            var change = events[Position];
            Apply(_volatile, change);
            _unflushed.Add(change);
            if (change.Operation == FileOperation.Flush)
                Settle((int)change.Offset);
        }
    }

    public MemoryFile Kill(string path) => Named(_volatile, path);

    public MemoryFile KillInside(FileEvent next, int seed, string path)
    {
        var file = Named(_volatile, path);
        ApplyTorn(file, next, new Random(seed));
        return file;
    }

    public MemoryFile PowerCut(PowerCut left, int seed, string path)
    {
        if (left == Files.PowerCut.Everything)
            return Kill(path);
        var file = Named(_durable, path);
        if (left == Files.PowerCut.FlushedOnly)
            return file;

        // In order, but each sector of each change on its own: so a sector may end with any of the contents it had since
        // the flush, which is all that any reordering of whole-sector writes could give.
        var random = new Random(seed);
        foreach (var change in _unflushed)
        {
            switch (random.Next(4))
            {
                case 0:
                    break;
                case 1:
                    ApplyInside(file, change);
                    break;
                default:
                    ApplyTorn(file, change, random);
                    break;
            }
        }

        return file;
    }

    /// <summary>Keeps those changes whose bit is set, the first in the lowest.</summary>
    public MemoryFile PowerCut(long kept, string path)
    {
        var file = Named(_durable, path);
        var index = 0;
        foreach (var change in _unflushed)
        {
            if (change.Operation != FileOperation.Flush && (kept >> index++ & 1) != 0)
                ApplyInside(file, change);
        }

        return file;
    }

    private void Settle(int covered)
    {
        var count = covered - _durablePosition;
        if (count <= 0)
            return;
        for (var i = 0; i < count; i++)
            Apply(_durable, _unflushed[i]);
        _unflushed.RemoveRange(0, count);
        _durablePosition = covered;
    }

    private static MemoryFile Named(MemoryFile file, string path) => file.Copy(path);

    /// <summary>Synchronous by nature: the file is in memory.</summary>
    private static void Apply(MemoryFile file, FileEvent change) => ApplyAsync(file, change).AsTask().GetAwaiter().GetResult();

    /// <summary>A range change whose preceding growth was lost touches only what is inside the file.</summary>
    private static void ApplyInside(MemoryFile file, FileEvent change)
    {
        if (change.Operation is FileOperation.PunchHole or FileOperation.AllocateZeroes)
        {
            var length = Math.Min(change.Length, file.Length - change.Offset);
            if (length <= 0)
                return;
            change = change with { Length = length };
        }

        Apply(file, change);
    }

    private static void ApplyTorn(MemoryFile file, FileEvent change, Random random)
    {
        if (change.Operation is FileOperation.SetLength or FileOperation.Flush)
        {
            if (random.Next(2) == 0)
                Apply(file, change);
            return;
        }

        // The length may have grown although the bytes have not arrived.
        var end = change.Offset + change.Length;
        if (change.Operation == FileOperation.Write && end > file.Length && random.Next(2) == 0)
            Apply(file, new FileEvent(FileOperation.SetLength, end, 0, default));

        // Runs of sectors, alternately kept and lost; short runs early on so that small changes tear too.
        var keep = random.Next(2) == 0;
        for (var at = change.Offset; at < end; keep = !keep)
        {
            var sectors = 1L << random.Next(0, 12);
            var next = Math.Min(end, ((at / Sector) + random.NextInt64(1, sectors + 1)) * Sector);
            if (keep)
                ApplyInside(file, Part(change, at, next));
            at = next;
        }
    }

    private static FileEvent Part(FileEvent change, long start, long end) => change with
    {
        Offset = start,
        Length = end - start,
        Bytes = change.Bytes.IsEmpty ? default : change.Bytes.Slice((int)(start - change.Offset), (int)(end - start)),
    };
}
