using Godwit.Storage;

namespace Godwit.Testing.Guest;

/// <summary>Checks, offline, that a disk holds everything the guest was told is written.</summary>
public static class GuestRecords
{
    private const int Batch = 1 << 20;
    private const int ProblemsKept = 20;

    /// <summary>Checks a disk.</summary>
    public static Task<GuestVerification> VerifyAsync(BlockDevice disk, GuestLog log, CancellationToken cancellationToken) =>
        VerifyAsync((offset, buffer) => disk.ReadAsync(offset, buffer, cancellationToken), log);

    /// <summary>Checks a raw image; a file shorter than the disk reads as zeroes at its end.</summary>
    public static async Task<GuestVerification> VerifyAsync(string rawImage, GuestLog log, CancellationToken cancellationToken)
    {
        using var file = File.OpenHandle(rawImage, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        return await VerifyAsync(
            async (offset, buffer) =>
            {
                var n = await RandomAccess.ReadAsync(file, buffer, offset, cancellationToken);
                buffer.Span[n..].Clear();
            },
            log);
    }

    private static async Task<GuestVerification> VerifyAsync(Func<long, Memory<byte>, ValueTask> readAsync, GuestLog log)
    {
        var problems = new List<string>();
        var (acknowledged, expected) = Expected(log);
        long lost = 0, corrupt = 0;
        var buffer = new byte[GuestRecord.Size];
        foreach (var (offset, newest) in expected.OrderBy(pair => pair.Key))
        {
            await readAsync(offset, buffer);
            var found = GuestRecord.Read(buffer, offset);
            if (found.State == GuestRecordState.Damaged)
            {
                corrupt++;
                Note(problems, $"record {newest.Sequence} at {offset} is damaged");
            }
            else if (found.State == GuestRecordState.Empty || (found.Generation, found.Sequence).CompareTo(newest) < 0)
            {
                lost++;
                Note(problems, $"record {newest.Sequence} at {offset} is lost: found {found.State} {found.Sequence} of boot {found.Generation}");
            }
        }

        var (filler, fillerBad) = await VerifyFillerAsync(readAsync, log, problems);
        return new GuestVerification(acknowledged, expected.Count, lost, corrupt, filler, fillerBad, problems);
    }

    // The newest acknowledged record of each slot. Anything newer there is fine too: it was on its way when the log ended.
    private static (long Acknowledged, Dictionary<long, (long Generation, long Sequence)> Newest) Expected(GuestLog log)
    {
        var acknowledged = 0L;
        var newest = new Dictionary<long, (long Generation, long Sequence)>();
        foreach (var boot in log.Boots)
        {
            if (boot.Layout is not { } layout)
                continue;
            foreach (var ack in log.AcknowledgementsOf(boot))
            {
                acknowledged++;
                var offset = layout.OffsetOf(ack.Sequence);
                var candidate = (boot.Generation, ack.Sequence);
                if (!newest.TryGetValue(offset, out var before) || before.CompareTo(candidate) < 0)
                    newest[offset] = candidate;
            }
        }

        return (acknowledged, newest);
    }

    private static async Task<(long Checked, long Bad)> VerifyFillerAsync(
        Func<long, Memory<byte>, ValueTask> readAsync, GuestLog log, List<string> problems)
    {
        long count = 0, bad = 0;
        var buffer = new byte[Batch];
        foreach (var (start, length) in log.Boots.Select(boot => boot.Filler).Distinct())
        {
            for (var at = start; at < start + length; at += Batch)
            {
                await readAsync(at, buffer);
                for (var i = 0; i < Batch; i += GuestRecord.Size, count++)
                {
                    var found = GuestRecord.Read(buffer.AsSpan(i, GuestRecord.Size), at + i);
                    if (found.State == GuestRecordState.Whole && found.IsFiller)
                        continue;
                    bad++;
                    Note(problems, $"filler at {at + i} is {found.State}");
                }
            }
        }

        return (count, bad);
    }

    private static void Note(List<string> problems, string text)
    {
        if (problems.Count < ProblemsKept)
            problems.Add(text);
    }
}

/// <summary>What <see cref="GuestRecords"/> found.</summary>
/// <param name="Acknowledged">Writes acknowledged to the guest, over all boots.</param>
/// <param name="Checked">Slots read back: the newest acknowledged record of each.</param>
/// <param name="Lost">Slots that hold nothing, or an older record.</param>
/// <param name="Corrupt">Slots that hold something damaged.</param>
/// <param name="FillerChecked">4 KiB blocks of filler read back.</param>
/// <param name="FillerCorrupt">Those that are not as written.</param>
/// <param name="Problems">The first few, in words.</param>
public sealed record GuestVerification(
    long Acknowledged, long Checked, long Lost, long Corrupt, long FillerChecked, long FillerCorrupt, IReadOnlyList<string> Problems)
{
    /// <summary>Nothing is lost or damaged.</summary>
    public bool IsClean => Lost == 0 && Corrupt == 0 && FillerCorrupt == 0;
}
