using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>Creating, starting, stopping, removing; and what follows when processes come and go by themselves.</summary>
public sealed class VirtualMachineTests
{
    private const long Mebibyte = 1 << 20;

    private static readonly VirtualMachineSettings Settings = new() { Memory = 64 * Mebibyte };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string, VirtualMachineSpec, ErrorCode> BadSpecs() => new()
    {
        { "no name", Spec() with { Name = "" }, ErrorCode.InvalidRequest },
        { "long name", Spec() with { Name = new string('a', 101) }, ErrorCode.InvalidRequest },
        { "slash in the name", Spec() with { Name = "a/b" }, ErrorCode.InvalidRequest },
        { "dots", Spec() with { Name = ".." }, ErrorCode.InvalidRequest },
        { "name with a space at the end", Spec() with { Name = "a " }, ErrorCode.InvalidRequest },
        { "no memory", Spec() with { Settings = Settings with { Memory = 0 } }, ErrorCode.InvalidRequest },
        { "odd memory", Spec() with { Settings = Settings with { Memory = (64 * Mebibyte) + 1 } }, ErrorCode.InvalidRequest },
        { "no processor", Spec() with { Settings = Settings with { Cpus = 0 } }, ErrorCode.InvalidRequest },
        { "processors", Spec() with { Settings = Settings with { Cpus = 256 } }, ErrorCode.InvalidRequest },
        { "nothing to boot", Spec() with { Disks = [] }, ErrorCode.InvalidRequest },
        { "initrd without kernel", Spec() with { Settings = Settings with { Initrd = "/src/i" } }, ErrorCode.InvalidRequest },
        { "unknown switch", Spec() with { Settings = Settings with { Networks = [new NetworkAdapter("lan")] } }, ErrorCode.NotFound },
        { "no address", Spec() with { Settings = Settings with { Networks = [new NetworkAdapter(MacAddress: "52:54:00:1,x")] } }, ErrorCode.InvalidRequest },
        { "address of many", Spec() with { Settings = Settings with { Networks = [new NetworkAdapter(MacAddress: "01:00:5e:00:00:01")] } }, ErrorCode.InvalidRequest },
        { "one address twice", Spec() with { Settings = Settings with { Networks = [new NetworkAdapter(MacAddress: "52:54:00:00:00:01"), new NetworkAdapter(MacAddress: "52:54:00:00:00:01")] } }, ErrorCode.AlreadyExists },
        { "too many adapters", Spec() with { Settings = Settings with { Networks = [.. Enumerable.Repeat(new NetworkAdapter(), 9)] } }, ErrorCode.InvalidRequest },
        { "missing kernel", Spec() with { Settings = Settings with { Kernel = "/src/k" } }, ErrorCode.NotFound },
        { "missing folder of the serial file", Spec() with { Settings = Settings with { Serial = "/nowhere/s" } }, ErrorCode.NotFound },
        { "relative path", Spec(new DiskSpec("a.vhdx", Mebibyte)), ErrorCode.InvalidRequest },
        { "denied path", Spec(new DiskSpec("/denied/a.vhdx", Mebibyte)), ErrorCode.AccessDenied },
        { "odd size", Spec(new DiskSpec("/src/a.vhdx", Mebibyte + 1)), ErrorCode.InvalidRequest },
        { "huge size", Spec(new DiskSpec("/src/a.vhdx", long.MaxValue)), ErrorCode.InvalidRequest },
        { "file is missing", Spec(new DiskSpec("/src/a.vhdx")), ErrorCode.NotFound },
        { "folder is missing", Spec(new DiskSpec("/src/x/a.vhdx", Mebibyte)), ErrorCode.NotFound },
        { "file exists", Spec(new DiskSpec("/src/there.vhdx", Mebibyte)), ErrorCode.AlreadyExists },
        { "other format", Spec(new DiskSpec("/src/there.vhdx", null, DiskFormat.Raw)), ErrorCode.InvalidRequest },
        { "twice", Spec(new DiskSpec("/src/a.vhdx", Mebibyte), new DiskSpec("/src/./a.vhdx", Mebibyte)), ErrorCode.Busy },
        { "another VM's disk", Spec(new DiskSpec("/src/used0.vhdx")), ErrorCode.Busy },
        { "generation", Spec() with { Generation = 3 }, ErrorCode.InvalidRequest },
        { "too little memory for UEFI", Spec() with { Generation = 2 }, ErrorCode.InvalidRequest },
        { "IDE in generation 2", Spec(new DiskSpec("/src/a.vhdx", Mebibyte, ControllerType: ControllerType.Ide)) with { Generation = 2, Settings = new() }, ErrorCode.InvalidRequest },
        { "a fifth SCSI controller", Spec(new DiskSpec("/src/a.vhdx", Mebibyte, null, null, ControllerType.Scsi, 4, 0)), ErrorCode.InvalidRequest },
        { "a third place on IDE", Spec(new DiskSpec("/src/a.vhdx", Mebibyte, null, null, ControllerType.Ide, 0, 2)), ErrorCode.InvalidRequest },
        { "a place below zero", Spec(new DiskSpec("/src/a.vhdx", Mebibyte, null, null, ControllerType.Scsi, null, -1)), ErrorCode.InvalidRequest },
        { "unknown controller", Spec(new DiskSpec("/src/a.vhdx", Mebibyte, null, null, (ControllerType)7)), ErrorCode.InvalidRequest },
        { "one place twice", Spec(new DiskSpec("/src/a.vhdx", Mebibyte, null, null, ControllerType.Scsi, 0, 1), new DiskSpec("/src/b.vhdx", Mebibyte, null, null, ControllerType.Scsi, 0, 1)), ErrorCode.AlreadyExists },
        { "full IDE", Spec([.. Enumerable.Range(0, 5).Select(i => new DiskSpec($"/src/a{i}.vhdx", Mebibyte, ControllerType: ControllerType.Ide))]), ErrorCode.InvalidRequest },
        { "too many drives", Spec() with { DvdDrives = [.. Enumerable.Repeat(new DvdDriveSpec(), 64)] }, ErrorCode.InvalidRequest },
        { "DVD drive on virtio", Spec() with { DvdDrives = [new DvdDriveSpec(null, ControllerType.Virtio)] }, ErrorCode.InvalidRequest },
        { "no disc", Spec() with { DvdDrives = [new DvdDriveSpec("/src/no.iso")] }, ErrorCode.NotFound },
        { "a disk as a disc", Spec() with { DvdDrives = [new DvdDriveSpec("/src/there.vhdx")] }, ErrorCode.InvalidRequest },
        { "a denied disc", Spec() with { DvdDrives = [new DvdDriveSpec("/denied/x.iso")] }, ErrorCode.AccessDenied },
        { "an empty path of a disc", Spec() with { DvdDrives = [new DvdDriveSpec("")] }, ErrorCode.InvalidRequest },
        { "boot from nothing", Spec() with { Settings = Settings with { BootOrder = ["disk1"] } }, ErrorCode.InvalidRequest },
        { "boot from one twice", Spec() with { Settings = Settings with { BootOrder = ["disk0", "disk0"] } }, ErrorCode.InvalidRequest },
        { "taken name", Spec() with { Name = "USED" }, ErrorCode.AlreadyExists },
    };

    [Theory(Timeout = 20_000), MemberData(nameof(BadSpecs), DisableDiscoveryEnumeration = true)]
    public async Task A_bad_specification_is_refused_and_nothing_stays(string why, VirtualMachineSpec spec, ErrorCode code)
    {
        await using var host = new FakeHost();
        await host.AddVmAsync("used", running: false);
        host.Folders.AddFile("/src/there.vhdx");
        var files = host.Folders.Files;
        var e = await Assert.ThrowsAsync<GodwitException>(() => host.Life.CreateAsync(spec, Token));
        Assert.True(code == e.Problem.Code, $"{why}: {e.Problem}");
        Assert.Equal(files, host.Folders.Files);
        Assert.Single(await host.Operations.ListAsync(Token));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_disk_that_cannot_be_created_takes_the_ones_before_it_along()
    {
        await using var host = new FakeHost();
        host.Images.Broken = "/src/b.vhdx";
        var spec = Spec(new DiskSpec("/src/a.vhdx", Mebibyte), new DiskSpec("/src/b.vhdx", Mebibyte));
        var e = await Assert.ThrowsAsync<GodwitException>(() => host.Life.CreateAsync(spec, Token));
        Assert.Equal(ErrorCode.NoSpace, e.Problem.Code);
        Assert.Empty(host.Folders.Files);
        Assert.Empty(await host.Operations.ListAsync(Token));
    }

    [Fact(Timeout = 20_000)]
    public async Task Start_brings_up_the_worker_before_QEMU_and_stop_takes_it_down_after()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        var shown = await host.Operations.GetAsync("vm", Token);
        Assert.Equal(VirtualMachineState.Running, shown.State);
        Assert.Equal(4711, shown.QemuProcessId);
        Assert.Equal(host.Workers.Find(vm.Id)!.ProcessId, shown.WorkerProcessId);
        var e = await Assert.ThrowsAsync<GodwitException>(() => host.Operations.StartAsync("vm", Token));
        Assert.Equal(ErrorCode.WrongState, e.Problem.Code);
        shown = await host.Operations.StopAsync("vm", new StopRequest(), Token);
        Assert.Equal(VirtualMachineState.Off, shown.State);
        Assert.Null(shown.WorkerProcessId);
        Assert.False(host.Workers.Find(vm.Id)!.Running);
        e = await Assert.ThrowsAsync<GodwitException>(() => host.Operations.StopAsync("vm", new StopRequest(), Token));
        Assert.Equal(ErrorCode.WrongState, e.Problem.Code);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_disk_is_shown_with_its_cache_mode_and_while_it_is_served_with_what_is_missing()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        host.Workers.Find(vm.Id)!.Disks[0].Gaps = ["no locks there"];
        var disk = (await host.Operations.GetAsync("vm", Token)).Disks[0];
        Assert.Equal(DiskCache.Writeback, disk.Cache);
        Assert.Equal(["no locks there"], disk.Gaps);
        await host.Operations.StopAsync("vm", new StopRequest(), Token);
        disk = (await host.Operations.GetAsync("vm", Token)).Disks[0];
        Assert.Equal((DiskCache.Writeback, null), (disk.Cache, disk.Gaps));
        Assert.Null(host.Parts.Vms.Get("vm").Disks[0].Gaps);
    }

    [Fact(Timeout = 20_000)]
    public async Task Adapters_get_addresses_of_their_own_and_keep_them()
    {
        await using var host = new FakeHost();
        var spec = Spec() with { Settings = Settings with { Networks = [new NetworkAdapter(), new NetworkAdapter(MacAddress: "52:54:00:AB:00:01")] } };
        await host.Life.CreateAsync(spec, Token);
        var adapters = host.Parts.Vms.Get("new").Settings.Networks!;
        Assert.Matches("^52:54:00(:[0-9a-f]{2}){3}$", adapters[0].MacAddress);
        Assert.Equal("52:54:00:ab:00:01", adapters[1].MacAddress);
        await host.Changes.SetAsync("new", new SettingsChange(Cpus: 2), Token);
        Assert.Equal(adapters, host.Parts.Vms.Get("new").Settings.Networks);
        await host.AddVmAsync("other", running: false);
        var e = await Assert.ThrowsAsync<GodwitException>(
            () => host.Changes.SetAsync("other", new SettingsChange(Networks: [new NetworkAdapter(MacAddress: "52:54:00:ab:00:01")]), Token));
        Assert.Contains("'new'", e.Problem.Title, StringComparison.Ordinal);
        await host.Changes.SetAsync("new", new SettingsChange(Networks: []), Token);
        Assert.Null(host.Parts.Vms.Get("new").Settings.Networks);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_start_that_fails_leaves_no_worker()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync(running: false);
        host.Runtime.StartProblem = new Problem(ErrorCode.Unavailable, "QEMU ended at once");
        var e = await Assert.ThrowsAsync<GodwitException>(() => host.Operations.StartAsync("vm", Token));
        Assert.Equal("QEMU ended at once", e.Problem.Title);
        Assert.False(host.Workers.Find(vm.Id)!.Running);
        host.Runtime.StartProblem = null;
        host.Workers.Find(vm.Id)!.Disks[0].Problem = new Problem(ErrorCode.Corrupt, "not a VHDX");
        e = await Assert.ThrowsAsync<GodwitException>(() => host.Operations.StartAsync("vm", Token));
        Assert.Equal(ErrorCode.Corrupt, e.Problem.Code);
        Assert.False(host.Workers.Find(vm.Id)!.Running);
        Assert.Empty(host.Runtime.Trace);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_guest_that_does_not_shut_down_is_not_turned_off_but_can_be_meanwhile()
    {
        await using var host = new FakeHost();
        await host.AddVmAsync();
        host.Runtime.IgnoresShutdown = true;
        var stop = host.Operations.StopAsync("vm", new StopRequest(TimeoutSeconds: 5), Token);
        Assert.Equal(VirtualMachineState.Stopping, (await host.Operations.GetAsync("vm", Token)).State);
        await host.UntilAsync(() => stop.IsCompleted);
        var e = await Assert.ThrowsAsync<GodwitException>(() => stop);
        Assert.Equal(ErrorCode.Unavailable, e.Problem.Code);
        Assert.Equal(VirtualMachineState.Running, (await host.Operations.GetAsync("vm", Token)).State);
        stop = host.Operations.StopAsync("vm", new StopRequest(), Token);
        await host.Operations.StopAsync("vm", new StopRequest(TurnOff: true), Token);
        await host.UntilAsync(() => stop.IsCompleted);
        Assert.Equal(VirtualMachineState.Off, (await stop).State);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Removal_keeps_disk_files_unless_asked(bool delete)
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        var e = await Assert.ThrowsAsync<GodwitException>(() => host.Life.RemoveAsync("vm", delete, false, Token));
        Assert.Equal(ErrorCode.WrongState, e.Problem.Code);
        await host.Operations.StopAsync("vm", new StopRequest(true), Token);
        await host.Life.RemoveAsync("vm", delete, false, Token);
        Assert.Equal(!delete, host.Folders.FileExists("/src/vm0.vhdx"));
        Assert.Null(await host.Parts.Ownership.ReadAsync(vm.Id, Token));
        Assert.Contains("forget", host.Runtime.Trace);
        e = await Assert.ThrowsAsync<GodwitException>(() => host.Operations.GetAsync("vm", Token));
        Assert.Equal(ErrorCode.NotFound, e.Problem.Code);
    }

    [Fact(Timeout = 20_000)]
    public async Task Removal_by_force_turns_the_VM_off_first()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        await host.Life.RemoveAsync("vm", false, true, Token);
        Assert.Contains("turn off", host.Runtime.Trace);
        Assert.False(host.Workers.Find(vm.Id)!.Running);
        Assert.Empty(await host.Operations.ListAsync(Token));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_guest_that_powers_off_by_itself_loses_its_worker()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        host.Runtime[vm.Id] = VirtualMachineState.Off;
        await host.Reconciler.ReconcileAsync(Token);
        Assert.False(host.Workers.Find(vm.Id)!.Running);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_lost_supervisor_is_started_again()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        host.Workers.Kill(vm.Id);
        await host.Reconciler.ReconcileAsync(Token);
        Assert.True(host.Workers.Find(vm.Id)!.Running);
        var told = host.Told.Count;
        await host.Reconciler.ReconcileAsync(Token);
        Assert.Equal(told, host.Told.Count);
    }

    [Fact(Timeout = 20_000)]
    public async Task The_record_follows_the_path_the_worker_serves_from()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        host.Workers.Find(vm.Id)!.Disks[0].Path = "/dst/vm0.vhdx";
        await host.Reconciler.ReconcileAsync(Token);
        Assert.Equal("/dst/vm0.vhdx", host.Parts.Vms.Get("vm").Disks[0].Path);
    }

    private static VirtualMachineSpec Spec(params DiskSpec[] disks) =>
        new("new", Settings, disks.Length > 0 ? disks : [new DiskSpec("/src/new.vhdx", Mebibyte)]);
}
