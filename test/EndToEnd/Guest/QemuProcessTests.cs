using System.Diagnostics;
using Godwit.Qemu;
using Godwit.Qemu.Launch;
using Godwit.Qemu.Processes;
using Godwit.Qemu.Qmp;
using Godwit.Testing.Guest;
using Xunit;

namespace Godwit.EndToEnd.Guest;

/// <summary>A real QEMU and a real guest, on a disk served by qemu-nbd.</summary>
public sealed class QemuProcessTests(ITestOutputHelper output)
{
    private const int Limit = 120_000;
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(40);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = Limit)]
    public async Task A_guest_boots_writes_verifies_and_shuts_down_when_asked()
    {
        await using var guest = await NbdGuest.PrepareAsync("godwit.fill=16 godwit.wr=300 godwit.writers=2", Token);
        var clock = Stopwatch.StartNew();
        await using var qemu = await guest.StartAsync(Token);
        output.WriteLine($"monitor after {clock.ElapsedMilliseconds} ms");
        await guest.Log.WaitForLineAsync("READY", Soon, Token);
        output.WriteLine($"READY after {clock.ElapsedMilliseconds} ms");
        await guest.Log.WaitForLineAsync("F done", Soon, Token);
        await guest.Log.WaitForAcknowledgedAsync(300, Soon, Token);
        Assert.Equal(new QemuState(QemuRunState.Running), qemu.State);
        var node = Assert.Single(await qemu.Monitor.QueryNamedBlockNodesAsync(Token), n => n.NodeName == "disk0");
        Assert.Equal(("nbd", true), (node.Driver, node.Active));

        await using (var console = await GuestConsole.ConnectAsync(guest.Configuration.Files.SerialSocket, Token))
        {
            await console.SendAsync("dirty 20", Token);
            await console.SendAsync("verify", Token);
            Assert.Matches("^V [0-9]{3,} 0 0$", await guest.Log.WaitForLineAsync("V ", Soon, Token));
        }

        clock.Restart();
        var exit = await qemu.StopAsync(TimeSpan.FromSeconds(60), Token);
        output.WriteLine($"ended {clock.ElapsedMilliseconds} ms after the power button: {exit}");
        Assert.Equal((0, true), (exit.ExitCode, exit.ByGuest));
        Assert.Equal(QemuRunState.Ended, qemu.State.Run);
        await guest.Log.WaitForLineAsync("BYE", Soon, Token);
        Assert.False(File.Exists(guest.Configuration.Files.PidFile));

        var records = await GuestRecords.VerifyAsync(guest.Disk, guest.Log, Token);
        output.WriteLine($"{records}; longest stall {guest.Log.LongestStall().TotalMilliseconds} ms, heartbeat gap {guest.Log.LongestHeartbeatGap().TotalMilliseconds} ms");
        Assert.True(records.IsClean, string.Join('\n', records.Problems));
        Assert.True(records.Checked >= 300);
        Assert.Equal(4096, records.FillerChecked);
        Assert.Equal(0, guest.Log.ErrorCount);
    }

    [Fact(Timeout = Limit)]
    public async Task A_guest_gets_an_address_and_has_it_still_when_it_was_saved()
    {
        await using var guest = await NbdGuest.PrepareAsync("godwit.wr=50", Token);
        guest.Change(now => now with { Networks = [new QemuNetwork("net0", "52:54:00:00:00:07")] });
        await using var qemu = await guest.StartAsync(Token);
        await guest.Log.WaitForLineAsync("READY", Soon, Token);
        await using (var console = await GuestConsole.ConnectAsync(guest.Configuration.Files.SerialSocket, Token))
        {
            await console.SendAsync("run cat /sys/class/net/eth0/address", Token);
            Assert.Equal("R 52:54:00:00:00:07", (await guest.Log.WaitForLineAsync("R ", Soon, Token)).Trim());
            await console.SendAsync("run ip link set eth0 up; udhcpc -i eth0 -n -q -f -s /bin/true 2>&1 | grep 'lease of'", Token);
            Assert.Contains("10.0.2.15", await guest.Log.WaitForLineAsync("R udhcpc: lease", Soon, Token), StringComparison.Ordinal);
        }

        var file = guest.Disk + ".state";
        await SavedMemory.BeginSaveAsync(qemu, file, Token);
        while ((await SavedMemory.QueryAsync(qemu, Token)).State == MemoryTransferState.Active)
            await Task.Delay(20, Token);
        await qemu.TurnOffAsync(Token);
        guest.Change(now => now with { Incoming = true });
        await using var second = await guest.StartAsync(Token);
        await SavedMemory.LoadAsync(second, file, TimeProvider.System, Token);
        await second.ResumeAsync(Token);
        await guest.GoesOnWritingAsync(Token);
    }

    [Fact(Timeout = Limit)]
    public async Task A_running_QEMU_is_adopted_and_a_second_one_for_the_same_VM_is_refused()
    {
        await using var guest = await NbdGuest.PrepareAsync("", Token);
        var first = await guest.StartAsync(Token);
        var id = first.ProcessId;
        await guest.Log.WaitForAcknowledgedAsync(50, Soon, Token);
        Assert.Equal(id.ToString(System.Globalization.CultureInfo.InvariantCulture), SessionOf(id));

        var second = await Assert.ThrowsAsync<QemuException>(() => guest.StartAsync(Token));
        output.WriteLine(second.Message);
        Assert.True(second.Kind is QemuErrorKind.StartFailed or QemuErrorKind.NotOurs, second.Message);
        await guest.GoesOnWritingAsync(Token);
        await first.DisposeAsync();

        Assert.Null(await guest.Launcher.AdoptAsync(Guid.NewGuid(), guest.Configuration.Files, Token));
        var adopted = await guest.Launcher.AdoptAsync(guest.Configuration.Uuid, guest.Configuration.Files, Token);
        Assert.NotNull(adopted);
        await using var _ = adopted;
        Assert.Equal((id, QemuRunState.Running), (adopted.ProcessId, adopted.State.Run));
        await guest.GoesOnWritingAsync(Token);

        await adopted.PauseAsync(Token);
        await NbdGuest.WaitForAsync(adopted, QemuRunState.Paused, Soon, Token);
        Assert.Equal(QemuErrorKind.WrongState, (await Assert.ThrowsAsync<QemuException>(() => adopted.StopAsync(Soon, Token))).Kind);
        await adopted.ResumeAsync(Token);
        await NbdGuest.WaitForAsync(adopted, QemuRunState.Running, Soon, Token);
        await guest.GoesOnWritingAsync(Token);

        var exit = await adopted.TurnOffAsync(Token);
        Assert.Equal((null, false), (exit.ExitCode, exit.ByGuest));
        Assert.Null(await guest.Launcher.AdoptAsync(guest.Configuration.Uuid, guest.Configuration.Files, Token));
        Assert.Equal(QemuErrorKind.Ended, Assert.Throws<QemuException>(() => adopted.Monitor).Kind);
    }

    [Fact(Timeout = Limit)]
    public async Task A_disk_that_is_away_too_long_pauses_the_guest_and_it_goes_on_by_itself()
    {
        await using var guest = await NbdGuest.PrepareAsync("godwit.flush=4", Token, reconnectSeconds: 1);
        await using var qemu = await guest.StartAsync(Token);
        await guest.Log.WaitForAcknowledgedAsync(100, Soon, Token);
        await guest.KillServerAsync(Token);
        await NbdGuest.WaitForAsync(qemu, QemuRunState.WaitingForDisk, Soon, Token);
        output.WriteLine(qemu.State.ToString());
        Assert.Contains("disk0", qemu.State.Reason, StringComparison.Ordinal);
        await Task.Delay(2500, Token);
        guest.StartServer();
        await NbdGuest.WaitForAsync(qemu, QemuRunState.Running, Soon, Token);
        await guest.GoesOnWritingAsync(Token);
        await qemu.StopAsync(TimeSpan.FromSeconds(60), Token);
        Assert.Equal(0, guest.Log.ErrorCount);
        var records = await GuestRecords.VerifyAsync(guest.Disk, guest.Log, Token);
        Assert.True(records.IsClean, string.Join('\n', records.Problems));
    }

    [Fact(Timeout = Limit)]
    public async Task A_QEMU_that_hangs_is_turned_off_by_force_and_one_that_is_killed_is_noticed()
    {
        await using var guest = await NbdGuest.PrepareAsync("", Token);
        await using var qemu = await guest.StartAsync(Token);
        await guest.Log.WaitForLineAsync("READY", Soon, Token);
        using (var stopped = Process.Start("kill", ["-STOP", qemu.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture)]))
            await stopped.WaitForExitAsync(Token);
        await using (var adopted = await guest.Launcher.AdoptAsync(guest.Configuration.Uuid, guest.Configuration.Files, Token))
            Assert.Equal(QemuRunState.Unresponsive, adopted?.State.Run);
        var exit = await qemu.TurnOffAsync(Token);
        Assert.Equal(128 + 9, exit.ExitCode);

        await using var again = await guest.StartAsync(Token);
        using (var victim = Process.GetProcessById(again.ProcessId))
            victim.Kill();
        exit = await again.WaitForExitAsync(Token);
        output.WriteLine(exit.ToString());
        Assert.Equal(128 + 9, exit.ExitCode);
        Assert.Contains("signal 9", exit.Reason, StringComparison.Ordinal);
    }

    [Fact(Timeout = Limit)]
    public async Task What_keeps_QEMU_from_starting_is_said_in_its_own_words()
    {
        await using var guest = await NbdGuest.PrepareAsync("", Token);
        guest.Change(c => c with { Disks = [c.Disks[0] with { Export = "no-such-export", OpenSeconds = 0 }] });
        var error = await Assert.ThrowsAsync<QemuException>(() => guest.StartAsync(Token));
        output.WriteLine(error.Message);
        Assert.Equal(QemuErrorKind.StartFailed, error.Kind);
        Assert.Contains("no-such-export", error.Message, StringComparison.Ordinal);

        guest.Change(c => c with { Kernel = "/no/such/kernel", Disks = [] });
        error = await Assert.ThrowsAsync<QemuException>(() => guest.StartAsync(Token));
        Assert.Contains("/no/such/kernel", error.Message, StringComparison.Ordinal);

        guest.Change(c => c with { Binary = "/no/such/qemu" });
        Assert.Equal(QemuErrorKind.NotInstalled, (await Assert.ThrowsAsync<QemuException>(() => guest.StartAsync(Token))).Kind);
    }

    [Fact(Timeout = Limit)]
    public async Task Without_a_kernel_the_guest_boots_from_its_disk()
    {
        await using var guest = await NbdGuest.PrepareAsync("", Token);
        await using (var disk = File.OpenWrite(guest.Disk))
            await disk.WriteAsync(HelloSector(), Token);
        guest.Change(c => c with { Kernel = null, Initrd = null, Append = null });
        await using var qemu = await guest.StartAsync(Token);
        await guest.Log.WaitForLineAsync("BOOTED", Soon, Token);
        var exit = await qemu.TurnOffAsync(Token);
        Assert.Equal((0, "it was told to end"), (exit.ExitCode, exit.Reason));
    }

    [Fact(Timeout = Limit)]
    public async Task The_second_monitor_answers_out_of_band()
    {
        await using var guest = await NbdGuest.PrepareAsync("", Token);
        guest.Change(c => c with { StartPaused = true });
        await using var qemu = await guest.StartAsync(Token);
        Assert.Equal(QemuRunState.Paused, qemu.State.Run);
        await using var second = await qemu.OpenOutOfBandMonitorAsync(Token);
        Assert.True(second.OutOfBand);
        var refused = await Assert.ThrowsAsync<QmpException>(() => second.YankAsync([new QmpYankInstance("migration")], Token));
        output.WriteLine(refused.Message);
        await qemu.ResumeAsync(Token);
        await guest.Log.WaitForLineAsync("READY", Soon, Token);
    }

    private static string SessionOf(int id)
    {
        var stat = File.ReadAllText($"/proc/{id}/stat");
        return stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[3];
    }

    // mov si, text; next: lodsb; test al, al; jz stop; mov dx, 0x3F8; out dx, al; jmp next; stop: hlt; jmp stop
    private static byte[] HelloSector()
    {
        var sector = new byte[512];
        byte[] code = [0xBE, 0x20, 0x7C, 0xAC, 0x84, 0xC0, 0x74, 0x06, 0xBA, 0xF8, 0x03, 0xEE, 0xEB, 0xF5, 0xF4, 0xEB, 0xFD];
        code.CopyTo(sector, 0);
        "BOOTED\n"u8.CopyTo(sector.AsSpan(0x20));
        (sector[510], sector[511]) = (0x55, 0xAA);
        return sector;
    }
}
