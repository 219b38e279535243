using System.Diagnostics;
using Xunit;

namespace Godwit.EndToEnd;

/// <summary>A real guest that writes, is saved and goes on: no write is lost, and its counter goes on where it was.</summary>
public sealed class SavedStateTests(ITestOutputHelper output)
{
    [Fact(Timeout = 240_000)]
    public async Task A_writing_guest_is_saved_and_restored_three_times_and_killed_daemons_change_nothing()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var guest = await GuestUnderTest.StartAsync(ct);
        for (var round = 0; round < 3; round++)
        {
            var before = guest.Log.AcknowledgedCount;
            var watch = Stopwatch.StartNew();
            (await guest.Host.GodwitAsync(["vm", "save", GuestUnderTest.Name], ct)).Succeeded();
            var saved = watch.Elapsed;
            var vm = await guest.ShowAsync(ct);
            Assert.Equal("Saved", vm.GetProperty("state").GetString());
            Assert.False(vm.TryGetProperty("qemuProcessId", out _));
            var file = vm.GetProperty("savedState").GetProperty("file").GetString()!;
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
            var size = await GuestUnderTest.AllocatedAsync(file, ct);
            if (round == 1)
            {
                await guest.Host.KillDaemonAsync(ct);
                await guest.Host.StartDaemonAsync(ct);
            }

            watch.Restart();
            (await guest.Host.GodwitAsync(["vm", "start", GuestUnderTest.Name], ct)).Succeeded();
            output.WriteLine($"saved in {saved.TotalMilliseconds:0} ms, {size >> 20} MiB occupied, restored in {watch.Elapsed.TotalMilliseconds:0} ms");
            Assert.False(File.Exists(file));
            await guest.Log.WaitForAcknowledgedAsync(before + 100, TimeSpan.FromSeconds(30), ct);
        }

        await guest.StopAndVerifyAsync(ct);
    }

    [Fact(Timeout = 240_000)]
    public async Task A_paused_guest_stays_paused_through_a_killed_daemon_and_a_saving()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var guest = await GuestUnderTest.StartAsync(ct);
        (await guest.Host.GodwitAsync(["vm", "pause", GuestUnderTest.Name], ct)).Succeeded();
        await guest.Host.KillDaemonAsync(ct);
        await guest.Host.StartDaemonAsync(ct);
        Assert.Equal("Paused", (await guest.ShowAsync(ct)).GetProperty("state").GetString());
        (await guest.Host.GodwitAsync(["vm", "save", GuestUnderTest.Name], ct)).Succeeded();
        (await guest.Host.GodwitAsync(["vm", "start", GuestUnderTest.Name], ct)).Succeeded();
        Assert.Equal("Paused", (await guest.ShowAsync(ct)).GetProperty("state").GetString());
        var before = guest.Log.AcknowledgedCount;
        (await guest.Host.GodwitAsync(["vm", "resume", GuestUnderTest.Name], ct)).Succeeded();
        await guest.Log.WaitForAcknowledgedAsync(before + 50, TimeSpan.FromSeconds(30), ct);
        await guest.StopAndVerifyAsync(ct);
    }
}
