namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Entries that follow each other without a gap, oldest first, with positions as <see cref="VhdxLogRing"/> counts them.</summary>
/// <remarks>More than a replay needs: whichever entry is the newest that a power cut leaves, what it needs is here too.</remarks>
/// <param name="entries">The entries; at least one.</param>
internal sealed class VhdxLogRun(IReadOnlyList<VhdxLogPlace> entries)
{
    private readonly long[] _positions = PositionsOf(entries);

    /// <summary>The entries.</summary>
    public IReadOnlyList<VhdxLogPlace> Entries => entries;

    /// <summary>Position of the oldest entry.</summary>
    public long Start => _positions[0];

    /// <summary>Position behind the newest entry.</summary>
    public long Head => _positions[^1];

    /// <summary>Index of the newest entry.</summary>
    public int Newest => entries.Count - 1;

    /// <summary>The newest entry with its true checksum; -1 for none.</summary>
    public int NewestSealed
    {
        get
        {
            var index = Newest;
            while (index >= 0 && entries[index].Unsealed is not null)
                index--;
            return index;
        }
    }

    /// <summary>Position of an entry.</summary>
    public long PositionOf(int index) => _positions[index];

    /// <summary>Index of the oldest entry that an entry needs; -1 when the run does not have it.</summary>
    public int TailOf(int index)
    {
        var tail = index;
        while (tail >= 0 && entries[tail].Position != entries[index].Header.Tail)
            tail--;
        return tail;
    }

    private static long[] PositionsOf(IReadOnlyList<VhdxLogPlace> entries)
    {
        var positions = new long[entries.Count + 1];
        positions[0] = entries[0].Position;
        for (var index = 0; index < entries.Count; index++)
            positions[index + 1] = positions[index] + entries[index].Header.Length;
        return positions;
    }
}
