using Xunit;

namespace Godwit.EndToEnd;

/// <summary>The promise that makes the worker disposable.</summary>
public sealed class WorkerKillTests
{
    [Theory(Timeout = 300_000)]
    [InlineData("vhdx", 50)]
    [InlineData("vhdx-differencing", 15)]
    [InlineData("vhd", 15)]
    [InlineData("vhd-differencing", 15)]
    public async Task Kills_of_the_worker_under_load_lose_no_acknowledged_write(string format, int kills)
    {
        var ct = TestContext.Current.CancellationToken;
        await using var guest = await GuestUnderTest.StartAsync(ct, fillMebibytes: 8, writesPerSecond: 2000, format: format, writers: 4);
        var random = new Random(20261123);
        var stalls = new List<double>();
        for (var kill = 0; kill < kills; kill++)
        {
            var from = guest.Log.Now;
            await guest.KillWorkerAsync(ct);
            await guest.Log.WaitForAcknowledgedAsync(guest.Log.AcknowledgedCount + random.Next(20, 400), TimeSpan.FromSeconds(30), ct);
            stalls.Add(guest.Log.LongestStall(from, guest.Log.Now).TotalMilliseconds);
        }

        stalls.Sort();
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"{format}: stall after a kill: median {stalls[kills / 2]:0} ms, longest {stalls[^1]:0} ms; {guest.Log.AcknowledgedCount} writes acknowledged");
        // The supervisor holds the listening socket, so QEMU is back at once; without it each kill would cost a second and more.
        Assert.InRange(stalls[kills / 2], 0, 500);
        await guest.StopAndVerifyAsync(ct);
    }
}
