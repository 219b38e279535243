using System.Buffers.Binary;
using System.Numerics;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>4 KiB of a sector bitmap in memory: one bit for each of 32,768 sectors, set when the sector is the file's own.</summary>
/// <remarks>[MS-VHDX] section 2.5.2; the lowest bit of the first byte is the first sector. Any thread may read while one changes it.</remarks>
/// <param name="number">Which page, counted over all bitmaps of the disk: the first sector's number divided by 32,768.</param>
internal sealed class BitmapPage(long number)
{
    public const int Shift = 15;
    public const int SectorCount = 1 << Shift;

    private readonly ulong[] _words = new ulong[SectorCount / 64];

    public long Number => number;

    /// <summary>Used since it was last asked to leave memory. A hint, not synchronized.</summary>
    public bool WasUsed { get; set; } = true;

    /// <summary>The newest log entry that holds this page; the file has the page only when that one is applied.</summary>
    public ulong LoggedIn { get; set; }

    /// <summary>How many sectors from one on are like it.</summary>
    /// <param name="sector">The first one, within the page.</param>
    /// <param name="max">Stops counting here; above zero.</param>
    /// <param name="isSet">What they are.</param>
    /// <returns>1 to <paramref name="max"/>, never past the page.</returns>
    public int CountAlike(int sector, int max, out bool isSet)
    {
        var word = Volatile.Read(ref _words[sector >> 6]);
        isSet = ((word >> sector) & 1) != 0;
        max = Math.Min(max, SectorCount - sector);
        for (var count = 0; ;)
        {
            var differing = (isSet ? ~word : word) >> (sector + count);
            var left = 64 - ((sector + count) & 63);
            if (differing != 0)
                return Math.Min(max, count + BitOperations.TrailingZeroCount(differing));
            count += left;
            if (count >= max)
                return max;
            word = Volatile.Read(ref _words[(sector + count) >> 6]);
        }
    }

    /// <summary>Takes over what the file or the log has.</summary>
    public void Load(ReadOnlySpan<byte> bytes)
    {
        for (var index = 0; index < _words.Length; index++)
            Volatile.Write(ref _words[index], BinaryPrimitives.ReadUInt64LittleEndian(bytes[(index * sizeof(ulong))..]));
    }

    /// <summary>Writes the page in the file's form.</summary>
    public void CopyTo(Span<byte> bytes)
    {
        for (var index = 0; index < _words.Length; index++)
            BinaryPrimitives.WriteUInt64LittleEndian(bytes[(index * sizeof(ulong))..], _words[index]);
    }

    /// <summary>Makes a change in a page in the file's form.</summary>
    /// <param name="number">Which page it is.</param>
    /// <param name="bytes">The page.</param>
    /// <param name="change">The change, which may concern other pages too.</param>
    /// <returns>Something is different now.</returns>
    public static bool Patch(long number, Span<byte> bytes, BitmapChange change)
    {
        var first = number << Shift;
        var changed = Fill(bytes, change.From - first, change.SetFrom - first, value: false);
        changed |= Fill(bytes, change.SetFrom - first, change.SetTo - first, value: true);
        return Fill(bytes, change.SetTo - first, change.To - first, value: false) || changed;
    }

    private static bool Fill(Span<byte> bytes, long from, long to, bool value)
    {
        from = Math.Clamp(from, 0, SectorCount);
        to = Math.Clamp(to, 0, SectorCount);
        var changed = false;
        while (from < to)
        {
            var end = Math.Min(to, (from | 7) + 1);
            var mask = (byte)(((1 << (int)(end - from)) - 1) << (int)(from & 7));
            ref var at = ref bytes[(int)(from >> 3)];
            var now = value ? (byte)(at | mask) : (byte)(at & ~mask);
            changed |= now != at;
            at = now;
            from = end;
        }

        return changed;
    }
}
