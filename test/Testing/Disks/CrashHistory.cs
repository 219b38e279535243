using System.Runtime.InteropServices;
using Xunit;

namespace Godwit.Testing.Disks;

/// <summary>
/// What each sector was told to hold and when, so that any crash image can be judged: what must be there, what may be
/// there, and nothing else. Every written sector carries its number and its request's, so a sector that turns up in a
/// wrong place is noticed too.
/// </summary>
/// <param name="baseRequest">The request whose content every sector has from the start; 0 for zeroes.</param>
public sealed class CrashHistory(int baseRequest = 0)
{
    public const int Sector = 512;

    /// <summary>A number for what a disk holds from the start: beyond those of any requests.</summary>
    public const int BaseId = 2_000_000;

    private readonly Lock _gate = new();
    private readonly Dictionary<long, List<Entry>> _sectors = [];
    private readonly List<Flush> _flushes = [];
    private long _moment;

    /// <summary>The bytes request <paramref name="id"/> writes there.</summary>
    public static byte[] Content(int id, long offset, int length)
    {
        var bytes = new byte[length];
        for (var at = 0; at < length; at += Sector)
            MemoryMarshal.Cast<byte, long>(bytes.AsSpan(at, Sector)).Fill(Tag(id, (offset + at) / Sector));
        return bytes;
    }

    /// <summary>A moment, later than all before. Events do not tell whether a flush began before or after the answer to a request whose
    /// change of the file was the last event.</summary>
    public long Now() => Interlocked.Increment(ref _moment);

    /// <summary>Notes a finished request.</summary>
    /// <param name="id">Its number, from 1 upwards in order of start; 0 in place of it when it left zeroes.</param>
    /// <param name="offset">First byte.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="start">Events in the file's log when it started.</param>
    /// <param name="end">Events in the log when it had completed.</param>
    /// <param name="forced">It survives a power cut without a flush.</param>
    public void Add(int id, long offset, long length, int start, int end, bool forced)
    {
        var ended = Now();
        lock (_gate)
        {
            for (var sector = offset / Sector; sector < (offset + length) / Sector; sector++)
            {
                if (!_sectors.TryGetValue(sector, out var entries))
                    _sectors.Add(sector, entries = []);
                entries.Add(new Entry(id, start, end, forced, ended));
            }
        }
    }

    /// <summary>Notes a finished flush.</summary>
    /// <param name="start">Events in the log when it started.</param>
    /// <param name="end">Events in the log when it had completed.</param>
    /// <param name="began">From <see cref="Now"/>, right before it started; not needed where nothing runs beside it.</param>
    public void AddFlush(int start, int end, long began = long.MaxValue)
    {
        lock (_gate)
            _flushes.Add(new Flush(start, end, began));
    }

    /// <summary>Judges what is left after a crash.</summary>
    /// <param name="content">The whole disk, or a part of it.</param>
    /// <param name="crash">When and how it happened.</param>
    /// <param name="offset">Where on the disk the part starts; whole sectors.</param>
    public void Check(ReadOnlySpan<byte> content, CrashPoint crash, long offset = 0)
    {
        for (var index = 0; index < content.Length / Sector; index++)
        {
            var sector = (offset / Sector) + index;
            var longs = MemoryMarshal.Cast<byte, long>(content.Slice(index * Sector, Sector));
            if (longs.ContainsAnyExcept(longs[0]))
                Assert.Fail($"{crash}: sector {sector} is torn");
            var id = (int)(longs[0] >> 32);
            if (longs[0] != Tag(id, sector))
                Assert.Fail($"{crash}: sector {sector} holds what request {id} wrote to sector {(uint)longs[0]}");
            if (!Allows(sector, id, crash))
                Assert.Fail($"{crash}: sector {sector} holds request {id} (0: zeroes); {Describe(sector)}");
        }
    }

    private static long Tag(int id, long sector) => id == 0 ? 0 : ((long)id << 32) | sector;

    private bool Allows(long sector, int id, CrashPoint crash)
    {
        if (!_sectors.TryGetValue(sector, out var entries))
            return id == baseRequest;

        // From the newest back to the first that is certain; older ones must not show any more.
        for (var i = entries.Count - 1; i >= 0; i--)
        {
            if (entries[i].Id == id && entries[i].Start < crash.Possible)
                return true;
            if (crash.PowerCut ? IsDurable(entries[i], crash.Events) : entries[i].End <= crash.Events)
                return entries[i].Id == id;
        }

        return id == baseRequest;
    }

    private bool IsDurable(Entry entry, int now) =>
        (entry.Forced && entry.End <= now) || _flushes.Exists(flush => flush.Start >= entry.End && flush.Began > entry.Ended && flush.End <= now);

    private string Describe(long sector)
    {
        var requests = _sectors.TryGetValue(sector, out var entries) ? string.Join(", ", entries) : "none";
        return $"requests there: {requests}; flushes: {string.Join(", ", _flushes)}";
    }

    /// <summary>One request's effect on one sector.</summary>
    private readonly record struct Entry(int Id, int Start, int End, bool Forced, long Ended);

    private readonly record struct Flush(int Start, int End, long Began);
}
