using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>Where drives are, what is in DVD drives, and the firmware's variables.</summary>
public sealed class DriveTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string, bool> EveryStep() => new()
    {
        { "Write the firmware's variables", false }, { "Write the firmware's variables", true },
        { "Create disk0", false }, { "Create disk0", true },
        { "Record the VM", false }, { "Record the VM", true },
    };

    [Fact(Timeout = 20_000)]
    public async Task Without_a_word_disks_of_generation_1_are_on_virtio_and_its_DVD_drives_on_IDE_until_that_is_full()
    {
        await using var host = new FakeHost();
        var spec = new VirtualMachineSpec(
            "vm", new VirtualMachineSettings(), [New("a"), New("b", ControllerType.Ide), New("c"), New("d", ControllerType.Ide, 0, 0)], null, 1,
            [new DvdDriveSpec(), new DvdDriveSpec(), new DvdDriveSpec()]);
        await host.Life.CreateAsync(spec, Token);
        Assert.Equal(["virtio 0:0", "ide 0:1", "virtio 0:1", "ide 0:0", "ide 1:0", "ide 1:1", "scsi 0:0"], await PlacesAsync(host));
        Assert.Equal(1, host.Parts.Vms.Get("vm").ScsiControllers);
        Assert.Null(host.Parts.Vms.Follow(host.Parts.Vms.Get("vm").Id));
    }

    [Fact(Timeout = 20_000)]
    public async Task Without_a_word_all_drives_of_generation_2_are_on_SCSI_in_places_nobody_asked_for()
    {
        await using var host = new FakeHost();
        var spec = new VirtualMachineSpec(
            "vm", new VirtualMachineSettings(), [New("a"), New("b", ControllerType.Scsi, 2, 5), New("c"), New("d", ControllerType.Virtio)], null, 2,
            [new DvdDriveSpec(), new DvdDriveSpec(null, ControllerType.Scsi, 0, 0)]);
        await host.Life.CreateAsync(spec, Token);
        Assert.Equal(["scsi 0:1", "scsi 2:5", "scsi 0:2", "virtio 0:0", "scsi 0:3", "scsi 0:0"], await PlacesAsync(host));
        Assert.Equal(3, host.Parts.Vms.Get("vm").ScsiControllers);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_VM_of_a_godwitd_that_knew_no_controllers_has_its_disks_on_virtio_and_no_SCSI_controller()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync(disks: 2, running: false);
        foreach (var part in (string[])[",\"controllerType\":\"Virtio\"", ",\"controllerNumber\":0", ",\"controllerLocation\":0", ",\"controllerLocation\":1", ",\"scsiControllers\":1", ",\"generation\":1"])
            host.Database.Execute("UPDATE vms SET body = replace(body, $part, '')", ("$part", part));
        var old = host.Parts.Vms.Get("vm");
        Assert.Equal((1, 0, null), (old.Generation, old.ScsiControllers, old.Disks[0].ControllerType));
        Assert.Equal(["virtio 0:0", "virtio 0:1"], await PlacesAsync(host));
        await host.Operations.StartAsync("vm", Token);
        await host.Changes.SetAsync("vm", new SettingsChange(Notes: "n"), Token);
        Assert.Equal(vm.Id, host.Parts.Vms.Get("vm").Id);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_disc_is_put_in_and_taken_out_and_a_running_guest_sees_it()
    {
        await using var host = await WithDriveAsync();
        await host.Drives.SetAsync("vm", "dvd0", new DvdMedium("/src/a.iso"), Token);
        Assert.Empty(host.Runtime.Discs);
        await host.Operations.StartAsync("vm", Token);
        await host.Drives.SetAsync("vm", "dvd0", new DvdMedium("/src/b.iso"), Token);
        Assert.Equal(("/src/b.iso", "/src/b.iso"), (Disc(host), host.Runtime.Discs["dvd0"]));
        await host.Drives.SetAsync("vm", "dvd0", new DvdMedium(), Token);
        Assert.Equal((null, null), (Disc(host), host.Runtime.Discs["dvd0"]));
        foreach (var (path, code) in ((string, ErrorCode)[])[("/src/c.iso", ErrorCode.NotFound), ("/denied/a.iso", ErrorCode.AccessDenied), ("/src/vm.vhdx", ErrorCode.InvalidRequest)])
            Assert.Equal(code, (await Assert.ThrowsAsync<GodwitException>(() => host.Drives.SetAsync("vm", "dvd0", new DvdMedium(path), Token))).Problem.Code);
        Assert.Null(Disc(host));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_disc_that_QEMU_cannot_take_is_not_recorded_and_a_saved_VM_keeps_its_own()
    {
        await using var host = await WithDriveAsync();
        await host.Operations.StartAsync("vm", Token);
        host.Runtime.DiscProblem = new Problem(ErrorCode.WrongState, "injected");
        await Assert.ThrowsAsync<GodwitException>(() => host.Drives.SetAsync("vm", "dvd0", new DvdMedium("/src/a.iso"), Token));
        Assert.Null(Disc(host));
        host.Runtime.DiscProblem = null;
        await host.EndAsync((await host.Saved.SubmitAsync("vm", Token)).Id);
        var e = await Assert.ThrowsAsync<GodwitException>(() => host.Drives.SetAsync("vm", "dvd0", new DvdMedium("/src/a.iso"), Token));
        Assert.Equal(ErrorCode.WrongState, e.Problem.Code);
        Assert.Null(Disc(host));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_daemon_that_died_between_record_and_drive_is_followed_by_one_that_puts_the_disc_in()
    {
        await using var host = await WithDriveAsync();
        await host.Operations.StartAsync("vm", Token);
        host.Parts.Vms.Change(host.Parts.Vms.Get("vm").Id, vm => vm with { DvdDrives = [vm.DvdDrives![0] with { Path = "/src/a.iso" }] });
        Assert.False(host.Runtime.Discs.ContainsKey("dvd0"));
        await host.KillAndStartDaemonAsync();
        Assert.Equal("/src/a.iso", host.Runtime.Discs["dvd0"]);
    }

    [Fact(Timeout = 20_000)]
    public async Task Firmware_variables_come_with_the_VM_and_go_with_it()
    {
        await using var host = new FakeHost();
        await host.Life.CreateAsync(Uefi(), Token);
        var vm = host.Parts.Vms.Get("vm");
        var variables = $"/vms/vm/Virtual Machines/{vm.Id:D}.vars.fd";
        Assert.Equal("variables"u8.ToArray(), host.Folders.Read(variables));
        await host.Life.RemoveAsync("vm", deleteDisks: true, force: false, Token);
        Assert.Empty(host.Folders.Files);
        host.Runtime.HasFirmware = false;
        Assert.Equal(ErrorCode.Unsupported, (await Assert.ThrowsAsync<GodwitException>(() => host.Life.CreateAsync(Uefi(), Token))).Problem.Code);
        Assert.Empty(host.Folders.Files);
    }

    [Theory(Timeout = 20_000), MemberData(nameof(EveryStep))]
    public async Task A_failed_creation_leaves_no_variables(string step, bool acted)
    {
        if (step == "Record the VM" && acted)
            return;
        await using var host = new FakeHost();
        host.Faults.At = Once(step, acted, () => throw new GodwitException(ErrorCode.IoFailed, "injected"));
        await Assert.ThrowsAsync<GodwitException>(() => host.Life.CreateAsync(Uefi(), Token));
        Assert.Empty(host.Folders.Files);
        Assert.DoesNotContain("/vms/vm", host.Folders.Folders);
    }

    [Theory(Timeout = 20_000), MemberData(nameof(EveryStep))]
    public async Task A_creation_whose_daemon_is_killed_is_ended_with_its_variables(string step, bool acted)
    {
        await using var host = new FakeHost();
        host.Faults.At = Once(step, acted, () => host.Faults.KillAsync());
        _ = host.Life.CreateAsync(Uefi(), Token);
        await host.UntilAsync(() => host.Faults.Killed);
        host.Faults.Killed = false;
        await host.KillAndStartDaemonAsync();
        await host.UntilAsync(() => host.Jobs.List() is [.., { HasEnded: true }]);
        var vm = host.Parts.Vms.Get("vm");
        Assert.Equal(["/src/vm.vhdx", vm.ConfigurationFile, vm.FirmwareVariables], host.Folders.Files);
    }

    private static VirtualMachineSpec Uefi() => new("vm", new VirtualMachineSettings(), [New("vm")], Generation: 2);

    private static DiskSpec New(string name, ControllerType? type = null, int? number = null, int? location = null) =>
        new($"/src/{name}.vhdx", 1 << 30, null, null, type, number, location);

    private static async Task<FakeHost> WithDriveAsync()
    {
        var host = new FakeHost();
        host.Folders.AddFile("/src/a.iso");
        host.Folders.AddFile("/src/b.iso");
        await host.Life.CreateAsync(new VirtualMachineSpec("vm", new VirtualMachineSettings(), [New("vm")], DvdDrives: [new DvdDriveSpec()]), Token);
        return host;
    }

    private static string? Disc(FakeHost host) => host.Parts.Vms.Get("vm").DvdDrives![0].Path;

    private static async Task<IEnumerable<string>> PlacesAsync(FakeHost host)
    {
        var vm = await host.Operations.GetAsync("vm", Token);
        return vm.Disks.Select(disk => $"{disk.ControllerType.ToString()!.ToLowerInvariant()} {disk.ControllerNumber}:{disk.ControllerLocation}")
            .Concat((vm.DvdDrives ?? []).Select(drive => $"{drive.ControllerType.ToString().ToLowerInvariant()} {drive.ControllerNumber}:{drive.ControllerLocation}"));
    }

    private static Func<JobStepEvent, bool, Task> Once(string step, bool after, Func<Task> what)
    {
        var done = false;
        return (told, acted) =>
        {
            if (done || told.IsUndo || told.Step != step || acted != after)
                return Task.CompletedTask;
            done = true;
            return what();
        };
    }
}
