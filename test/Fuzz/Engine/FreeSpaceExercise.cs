using Godwit.Storage;
using Godwit.Storage.FileSystems;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Operations;
using Godwit.Storage.Partitions;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Engine;

/// <summary>
/// Uses a disk whose partition tables and file systems may say anything the way resize and compact do, and judges: free runs go
/// forward and lie in partitions that are used, a compaction changes nothing outside them, and a GUID partition table says the same when
/// its backup has moved to a smaller disk's end.
/// </summary>
internal static class FreeSpaceExercise
{
    // A guest writes what it likes, but the disk is as large as its owner made it.
    private const long MaxLength = 64L << 20;
    private const int Rounding = 4096;
    private const int Page = 64 << 10;
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>Judges a disk; it is not changed.</summary>
    /// <exception cref="FuzzFinding">Something did not hold.</exception>
    public static async ValueTask RunAsync(MemoryFile file, Signals signals)
    {
        if (file.Length is 0 or > MaxLength || file.Length % RawDisk.Sector != 0)
            return;
        await using var disk = Open(file.Reopen(readOnly: true), mayWrite: false);
        var table = await MustAsync("partitions", signals, () => PartitionTable.ReadAsync(disk, None));
        signals.Note($"{table.Scheme} {table.Partitions.Count}");
        foreach (var problem in table.Problems)
            signals.Note(Signals.ShapeOf(problem));
        var runs = await MustAsync("free space", signals, () => WalkAsync(disk, signals));
        await CompactAsync(file, runs, signals);
        if (table is { IsIncomplete: false, Gpt: GptCopies copies })
            await ShrinkAsync(file.Copy(), table, copies, signals);
    }

    private static RawDisk Open(MemoryFile file, bool mayWrite) => RawDisk.Open(new StrictFile(file, readOnly: !mayWrite, mayWrite));

    /// <summary>Every free run of the disk.</summary>
    private static async ValueTask<List<FreeRun>> WalkAsync(BlockDevice disk, Signals signals)
    {
        var space = await DiskFreeSpace.ReadAsync(disk, None);
        foreach (var use in space.Partitions)
            signals.Note($"{use.FileSystem} {Signals.ShapeOf(use.Reason ?? "used")}");
        var used = space.Partitions.Where(static use => use.Reason is null).ToList();
        var runs = new List<FreeRun>();
        for (long at = 0; ;)
        {
            var run = await space.NextAsync(at, disk.Length, None);
            if (run.Length == 0)
                return runs;
            if (run.Start < at || run.Length < 0 || !used.Exists(use => run.Start >= use.Start && run.End <= use.Start + use.Length))
                throw new FuzzFinding($"a free run of {run.Length} bytes at {run.Start} is behind {at} or in no partition that is used");
            runs.Add(run);
            at = run.End;
        }
    }

    private static async ValueTask CompactAsync(MemoryFile file, List<FreeRun> runs, Signals signals)
    {
        var changed = file.Copy();
        await using (var disk = Open(changed.Reopen(), mayWrite: true))
            await MustAsync("compact", signals, () => DiskCompact.RunAsync(disk, ImageFormat.Raw, new CompactOptions(), static _ => { }, None));
        var (before, after) = (new byte[Page], new byte[Page]);
        var next = 0;
        for (long at = 0; at < file.Length; at += Page)
        {
            var length = (int)Math.Min(Page, file.Length - at);
            await file.ReadAsync(at, before.AsMemory(0, length), None);
            await changed.ReadAsync(at, after.AsMemory(0, length), None);
            if (before.AsSpan(0, length).SequenceEqual(after.AsSpan(0, length)))
                continue;
            while (next < runs.Count && runs[next].End <= at)
                next++;
            MustOnlyChangeFree(at, before.AsSpan(0, length), after, runs, next);
        }
    }

    private static void MustOnlyChangeFree(long offset, ReadOnlySpan<byte> before, ReadOnlySpan<byte> after, List<FreeRun> runs, int next)
    {
        for (var index = 0; index < before.Length; index++)
        {
            while (next < runs.Count && runs[next].End <= offset + index)
                next++;
            if (before[index] != after[index] && (next == runs.Count || runs[next].Start > offset + index))
                throw new FuzzFinding($"a compaction changes the byte at {offset + index}, which is not free");
        }
    }

    /// <summary>Makes the disk as small as its partitions allow, the way a resize does.</summary>
    private static async ValueTask ShrinkAsync(MemoryFile file, PartitionTable table, GptCopies copies, Signals signals)
    {
        var length = (table.EndOfLastPartition + GptMove.RoomFor(copies) + Rounding - 1) / Rounding * Rounding;
        if (table.EndOfLastPartition <= 0 || length <= 0 || length >= file.Length || !GptMove.Fits(copies, length))
            return;
        await using (var disk = Open(file.Reopen(), mayWrite: true))
        {
            await MustAsync("move the table", signals, async () =>
            {
                await GptMove.RunAsync(disk, copies, length, None);
                return true;
            });
        }

        await file.SetLengthAsync(length, None);
        await using var smaller = Open(file.Reopen(readOnly: true), mayWrite: false);
        var again = await MustAsync("partitions", signals, () => PartitionTable.ReadAsync(smaller, None));
        if (again.IsIncomplete || !again.Partitions.SequenceEqual(table.Partitions))
            throw new FuzzFinding($"the table is another one on the smaller disk: {string.Join("; ", again.Problems)}");
    }

    private static async ValueTask<T> MustAsync<T>(string what, Signals signals, Func<ValueTask<T>> step)
    {
        var (result, error) = await DiskExercise.GuardAsync(what, signals, step);
        return error is null ? result! : throw new FuzzFinding($"{what} fails: {error.Kind}: {error.Reason}", error);
    }
}
