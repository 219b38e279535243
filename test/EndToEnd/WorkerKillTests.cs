using Xunit;

namespace Godwit.EndToEnd;

/// <summary>The promise that makes the worker disposable.</summary>
public sealed class WorkerKillTests
{
    private const int Kills = 50;

    [Fact(Timeout = 300_000)]
    public async Task Fifty_kills_of_the_worker_under_load_lose_no_acknowledged_write()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var guest = await GuestUnderTest.StartAsync(ct, fillMebibytes: 8, writesPerSecond: 2000, writers: 4);
        var random = new Random(20261123);
        var stalls = new List<double>();
        for (var kill = 0; kill < Kills; kill++)
        {
            var from = guest.Log.Now;
            await guest.KillWorkerAsync(ct);
            await guest.Log.WaitForAcknowledgedAsync(guest.Log.AcknowledgedCount + random.Next(20, 400), TimeSpan.FromSeconds(30), ct);
            stalls.Add(guest.Log.LongestStall(from, guest.Log.Now).TotalMilliseconds);
        }

        stalls.Sort();
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"stall after a kill: median {stalls[Kills / 2]:0} ms, longest {stalls[^1]:0} ms; {guest.Log.AcknowledgedCount} writes acknowledged");
        // The supervisor holds the listening socket, so QEMU is back at once; without it each kill would cost a second and more.
        Assert.InRange(stalls[Kills / 2], 0, 500);
        await guest.StopAndVerifyAsync(ct);
    }
}
