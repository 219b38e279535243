using Godwit.Testing.Guest;
using Xunit;

namespace Godwit.ControlPlane.Tests.Qemu;

/// <summary>The judges are judged: a check that cannot find a lost record proves nothing.</summary>
public sealed class GuestLogTests : IDisposable
{
    private const int Limit = 20_000;
    private const string Layout = "L 16777216 1048576 64 4 8388608 4 2097152 1310720\n";
    private static readonly GuestLayout Places = new(16777216, 1048576, 64, 4, 8388608, 4, 2097152, 1310720);

    private readonly string _folder = Directory.CreateTempSubdirectory("godwit-log-").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Ring_and_far_places_never_overlap_until_they_are_used_again()
    {
        var far = Enumerable.Range(1, 63).Where(s => s % 4 == 0).Select(s => Places.OffsetOf(s)).ToList();
        var ring = Enumerable.Range(1, 84).Where(s => s % 4 != 0).Select(s => Places.OffsetOf(s)).ToList();
        Assert.Equal(far.Count, far.Distinct().Count());
        Assert.Equal(ring.Count, ring.Distinct().Count());
        Assert.All(far, o => Assert.InRange(o, Places.FarStart, Places.DiskBytes - GuestRecord.Size));
        Assert.All(ring, o => Assert.InRange(o, Places.RingStart, Places.FillStart - GuestRecord.Size));
    }

    [Fact(Timeout = Limit)]
    public async Task Torn_and_foreign_lines_are_not_taken_for_acknowledgements()
    {
        using var log = Follow("H 1\nG 7\n" + Layout + "READY\nA 1 500\nA 2\nA 12[    3.1] kernel words\n3 4\nA 3 x\nE 4 5\nH 2\nA 5 10");
        await log.WaitForLineAsync("E 4", TimeSpan.FromSeconds(5), Token);
        await log.WaitForLineAsync("READY", TimeSpan.FromSeconds(5), Token);
        while (log.HeartbeatCount < 1)
            await Task.Delay(1, Token);
        Assert.Equal((1, 1, 1), (log.AcknowledgedCount, log.ErrorCount, log.HeartbeatCount));
        await File.AppendAllTextAsync(Serial, "\n", Token);
        await log.WaitForAcknowledgedAsync(2, TimeSpan.FromSeconds(5), Token);
    }

    [Fact]
    public void A_gap_counts_when_it_touches_the_window_and_silence_to_its_end_counts()
    {
        long[] stamps = [100, 110, 500, 510];
        Assert.Equal(390, GuestLog.LongestGap(stamps, 0, null, isLast: true));
        Assert.Equal(390, GuestLog.LongestGap(stamps, 400, 450, isLast: true));
        Assert.Equal(10, GuestLog.LongestGap(stamps, 505, null, isLast: true));
        Assert.Equal(490, GuestLog.LongestGap(stamps, 505, 1000, isLast: true));
        Assert.Equal(0, GuestLog.LongestGap([], 0, 1000, isLast: true));
    }

    [Fact(Timeout = Limit)]
    public async Task Lost_damaged_and_old_records_are_found_and_newer_ones_are_fine()
    {
        using var log = Follow("G 7\n" + Layout + string.Concat(Enumerable.Range(1, 8).Select(n => $"A {n} 100\n")) + "F done 2097152 1048576\n");
        await log.WaitForAcknowledgedAsync(8, TimeSpan.FromSeconds(5), Token);
        await log.WaitForLineAsync("F done", TimeSpan.FromSeconds(5), Token);
        var image = new byte[16 << 20];
        for (var n = 1; n <= 8; n++)
            Put(image, n, 7, Places.OffsetOf(n));
        for (var at = 2 << 20; at < 3 << 20; at += GuestRecord.Size)
            GuestRecord.Make(at / GuestRecord.Size, at, 7, filler: true).CopyTo(image, at);
        Assert.True((await VerifyAsync(image, log)).IsClean);

        Put(image, 500, 7, Places.OffsetOf(1)); // Newer in the same place, not yet acknowledged.
        Put(image, 1, 8, Places.OffsetOf(2));   // Of a later boot.
        Assert.True((await VerifyAsync(image, log)).IsClean);

        image.AsSpan((int)Places.OffsetOf(3), GuestRecord.Size).Clear();
        Put(image, 4, 6, Places.OffsetOf(4));   // Of an earlier boot.
        image[Places.OffsetOf(5) + 2000] ^= 1;
        GuestRecord.Make(6, Places.OffsetOf(7), 7, filler: false).CopyTo(image, Places.OffsetOf(6)); // Meant for another place.
        image[(2 << 20) + 9] ^= 1;
        var found = await VerifyAsync(image, log);
        Assert.Equal((8, 8, 2, 2, 256, 1), (found.Acknowledged, found.Checked, found.Lost, found.Corrupt, found.FillerChecked, found.FillerCorrupt));
        Assert.Equal(5, found.Problems.Count);
    }

    private string Serial => Path.Combine(_folder, "serial.log");

    private static void Put(byte[] image, long sequence, long generation, long offset) =>
        GuestRecord.Make(sequence, offset, generation, filler: false).CopyTo(image, offset);

    private GuestLog Follow(string text)
    {
        File.WriteAllText(Serial, text);
        return new GuestLog(Serial);
    }

    private async Task<GuestVerification> VerifyAsync(byte[] image, GuestLog log)
    {
        var path = Path.Combine(_folder, "image.raw");
        await File.WriteAllBytesAsync(path, image, Token);
        return await GuestRecords.VerifyAsync(path, log, Token);
    }
}
