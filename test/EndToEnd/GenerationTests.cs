using System.Diagnostics;
using Xunit;

namespace Godwit.EndToEnd;

/// <summary>Real guests that start from BIOS and from UEFI, from every kind of controller.</summary>
public sealed class GenerationTests(ITestOutputHelper output)
{
    // What the firmware says of the program it hands over to.
    private const string Booted = "starting Boot0001 \"UEFI QEMU QEMU HARDDISK \" from PciRoot(0x0)/Pci(0x18,0x0)/Scsi(0x0,0x0)";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory(Timeout = 240_000)]
    [InlineData("1", ",controller=ide,number=1,location=1")]
    [InlineData("1", ",controller=scsi,number=2,location=63")]
    [InlineData("2", "")]
    [InlineData("2", ",controller=virtio")]
    public async Task A_writing_guest_is_saved_and_restored_over_a_killed_daemon_and_a_killed_worker(string generation, string place)
    {
        await using var guest = await GuestUnderTest.StartAsync(Token, fillMebibytes: 8, place: place, options: ["--generation", generation, "--dvd", ""]);
        await guest.KillWorkerAsync(Token);
        await guest.GoesOnWritingAsync(Token);
        for (var round = 0; round < 2; round++)
        {
            (await guest.Host.GodwitAsync(["vm", "save", GuestUnderTest.Name], Token)).Succeeded();
            await guest.Host.KillDaemonAsync(Token);
            await guest.Host.StartDaemonAsync(Token);
            var watch = Stopwatch.StartNew();
            (await guest.Host.GodwitAsync(["vm", "start", GuestUnderTest.Name], Token)).Succeeded();
            await guest.GoesOnWritingAsync(Token);
            output.WriteLine($"generation {generation}{place}: writes again {watch.Elapsed.TotalMilliseconds:0} ms after the start");
        }

        await guest.StopAndVerifyAsync(Token);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("virtio")]
    [InlineData("ide")]
    [InlineData("scsi")]
    public async Task A_BIOS_starts_from_a_disk_and_in_the_order_that_is_asked_for(string controller)
    {
        await using var vm = await BootedVm.CreateAsync(
            ["--disk", $"{{0}}/a.img,format=raw,controller={controller}", "--disk", $"{{0}}/b.img,format=raw,controller={controller}", "--dvd", "{0}/c.iso"], Token);
        await vm.StartAsync("from a", Token);
        await vm.StopAsync(Token);
        await vm.GodwitAsync(Token, "set", BootedVm.Name, "--boot-order", "disk1");
        await vm.StartAsync("from b", Token);
        await vm.StopAsync(Token);
        await vm.GodwitAsync(Token, "set", BootedVm.Name, "--boot-order", "dvd0,disk0");
        await vm.StartAsync("from c", Token);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("ide")]
    [InlineData("scsi")]
    public async Task A_disc_is_put_into_a_running_guest_changed_and_taken_out(string controller)
    {
        await using var vm = await BootedVm.CreateAsync(["--disk", "{0}/a.img,format=raw", "--dvd", $",controller={controller}", "--boot-order", "dvd0"], Token);
        await vm.StartAsync("from a", Token);
        await vm.GodwitAsync(Token, "dvd", BootedVm.Name, "--insert", vm.File("c.iso"));
        await vm.ResetAsync("from c", Token);
        await vm.GodwitAsync(Token, "dvd", BootedVm.Name, "--insert", vm.File("d.iso"));
        await vm.ResetAsync("from d", Token);
        // What the guest has is what the record says, after a saving too, and for a daemon that was killed.
        await vm.GodwitAsync(Token, "save", BootedVm.Name);
        await vm.Host.KillDaemonAsync(Token);
        await vm.Host.StartDaemonAsync(Token);
        await vm.GodwitAsync(Token, "start", BootedVm.Name);
        await vm.ResetAsync("from d", Token);
        await vm.GodwitAsync(Token, "dvd", BootedVm.Name, "--eject");
        await vm.ResetAsync("from a", Token);
        // A path that is no disc leaves what is there.
        var refused = await vm.Host.GodwitAsync(["vm", "dvd", BootedVm.Name, "--insert", "/etc/passwd"], Token);
        Assert.NotEqual(0, refused.ExitCode);
        Assert.False((await vm.Host.ShowAsync(BootedVm.Name, Token)).GetProperty("dvdDrives")[0].TryGetProperty("path", out _));
    }

    [Fact(Timeout = 180_000)]
    public async Task UEFI_starts_the_program_on_a_SCSI_disk_and_keeps_its_variables()
    {
        await using var vm = await BootedVm.CreateAsync(["--generation", "2", "--disk", "{0}/efi.img,format=raw"], Token);
        var variables = Directory.GetFiles(vm.Host.Folder, "*.vars.fd", SearchOption.AllDirectories).Single();
        var fresh = await File.ReadAllBytesAsync(variables, Token);
        await vm.StartAsync(Booted, Token);
        await vm.StopAsync(Token);
        Assert.NotEqual(fresh, await File.ReadAllBytesAsync(variables, Token));
        // Lost variables are made anew; ones that somebody has put a link in the place of are not touched.
        File.Delete(variables);
        await vm.StartAsync(Booted, Token);
        await vm.StopAsync(Token);
        File.Move(variables, vm.File("elsewhere"));
        File.CreateSymbolicLink(variables, vm.File("elsewhere"));
        Assert.Contains("not what UEFI firmware keeps", (await vm.Host.GodwitAsync(["vm", "start", BootedVm.Name], Token)).Error, StringComparison.Ordinal);
        (await vm.Host.GodwitAsync(["vm", "remove", BootedVm.Name], Token)).Succeeded();
        Assert.False(Path.Exists(variables));
        Assert.True(File.Exists(vm.File("elsewhere")));
    }
}
