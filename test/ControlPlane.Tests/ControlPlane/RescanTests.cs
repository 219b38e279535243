using System.Text;
using Godwit.Api;
using Godwit.Api.Hosts;
using Godwit.Api.VirtualMachines;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>The index is made again from the files; a file that somebody made up takes nothing in and deletes nothing.</summary>
public sealed class RescanTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = 20_000)]
    public async Task A_lost_store_is_made_again_and_what_runs_is_found()
    {
        await using var host = new FakeHost();
        var before = await host.AddVmAsync();
        await host.Changes.SetAsync("vm", new SettingsChange(Notes: "n"), Token);
        await host.AddVmAsync("off", running: false);
        Lose(host);
        Assert.All(await host.Rescan.RunAsync(new RescanRequest(DryRun: true), Token), finding => Assert.Equal(RescanOutcome.Added, finding.Outcome));
        Assert.Empty(host.Parts.Vms.List());
        var found = await host.Rescan.RunAsync(new RescanRequest(), Token);
        Assert.Equal([("off", RescanOutcome.Added), ("vm", RescanOutcome.Added)], found.Select(finding => (finding.Name!, finding.Outcome)).Order());
        Assert.All(found, finding => Assert.Null(finding.Problem));
        await host.Reconciler.ReconcileAsync(Token);
        var vm = await host.Operations.GetAsync("vm", Token);
        Assert.Equal((before.Id, VirtualMachineState.Running, "n"), (vm.Id, vm.State, vm.Settings.Notes));
        Assert.True(host.Parts.Vms.Get("vm").Powered);
        Assert.NotNull(await host.Parts.Ownership.ReadAsync(vm.Id, Token));
        Assert.All(await host.Rescan.RunAsync(new RescanRequest(), Token), finding => Assert.Equal(RescanOutcome.Unchanged, finding.Outcome));
        Assert.All(host.Parts.Vms.List(), each => Assert.False(host.Parts.Vms.Differs(each)));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_saved_VM_of_a_lost_store_goes_on_where_it_was()
    {
        await using var host = new FakeHost();
        await host.AddVmAsync();
        await host.EndAsync((await host.Saved.SubmitAsync("vm", Token)).Id);
        Lose(host);
        await host.Rescan.RunAsync(new RescanRequest(), Token);
        Assert.Equal(VirtualMachineState.Saved, (await host.Operations.GetAsync("vm", Token)).State);
        Assert.Equal(VirtualMachineState.Running, (await host.Operations.StartAsync("vm", Token)).State);
        Assert.Contains("restore", host.Runtime.Trace);
    }

    [Theory(Timeout = 20_000)]
    [InlineData("\"name\": \"vm\"", "\"name\": \"../x\"", ErrorCode.InvalidRequest)]
    [InlineData("\"memory\": 67108864", "\"memory\": 1", ErrorCode.InvalidRequest)]
    [InlineData("/src/vm0.vhdx", "/denied/x", ErrorCode.AccessDenied)]
    [InlineData("/src/vm0.vhdx", "/src/../src/vm0.vhdx", ErrorCode.InvalidRequest)]
    [InlineData("\"disk0\"", "\"a,b=c\"", ErrorCode.InvalidRequest)]
    [InlineData("\"cpus\": 1", "\"cpus\": 1, \"kernel\": \"/denied/k\"", ErrorCode.AccessDenied)]
    [InlineData(".state\"", ".state/../../x\"", ErrorCode.InvalidRequest)]
    [InlineData("/vms/vm/Virtual Machines/S", "/src/S", ErrorCode.InvalidRequest)]
    [InlineData("\"generation\": 1", "\"generation\": 3", ErrorCode.InvalidRequest)]
    [InlineData("\"generation\": 1", "\"generation\": 2", ErrorCode.InvalidRequest)]
    [InlineData("\"controllerLocation\": 0", "\"controllerLocation\": 24", ErrorCode.InvalidRequest)]
    [InlineData("\"controllerType\": \"Virtio\"", "\"controllerType\": 7", ErrorCode.InvalidRequest)]
    [InlineData("\"scsiControllers\": 1", "\"scsiControllers\": 5", ErrorCode.InvalidRequest)]
    [InlineData("\"scsiControllers\": 1", "\"dvdDrives\": [null]", ErrorCode.InvalidRequest)]
    [InlineData("\"scsiControllers\": 1", "\"dvdDrives\": [{\"name\": \"disk0\"}]", ErrorCode.InvalidRequest)]
    [InlineData("\"scsiControllers\": 1", "\"dvdDrives\": [{\"name\": \"dvd0\", \"path\": \"/denied/x\"}]", ErrorCode.AccessDenied)]
    [InlineData("\"scsiControllers\": 1", "\"dvdDrives\": [{\"name\": \"a\"}, {\"name\": \"b\"}]", ErrorCode.AlreadyExists)]
    [InlineData("\"cpus\": 1", "\"cpus\": 1, \"bootOrder\": [\"x,y\"]", ErrorCode.InvalidRequest)]
    [InlineData("\"version\": 1", "\"version\": 9", ErrorCode.Unsupported)]
    [InlineData("{", "", ErrorCode.Corrupt)]
    public async Task A_file_that_somebody_made_up_is_refused(string part, string instead, ErrorCode code)
    {
        await using var host = new FakeHost();
        await host.AddVmAsync();
        await host.EndAsync((await host.Saved.SubmitAsync("vm", Token)).Id);
        var vm = host.Parts.Vms.Get("vm");
        host.Folders.AddFile("/src/S.state");
        Lose(host);
        var file = host.Folders.Files.Single(each => each.EndsWith(".json", StringComparison.Ordinal));
        var text = Encoding.UTF8.GetString(host.Folders.Read(file)!).Replace(Path.GetFileName(vm.Saved!.File), "S.state", StringComparison.Ordinal);
        Assert.Contains(part, text, StringComparison.Ordinal);
        host.Folders.Write(file, Encoding.UTF8.GetBytes(text.Replace(part, instead, StringComparison.Ordinal)));
        var files = host.Folders.Files;
        var finding = Assert.Single(await host.Rescan.RunAsync(new RescanRequest(), Token));
        Assert.Equal((RescanOutcome.Refused, code), (finding.Outcome, finding.Problem?.Code));
        Assert.Empty(host.Parts.Vms.List());
        Assert.Equal(files, host.Folders.Files);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_newer_file_that_somebody_made_up_does_not_replace_the_record()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        var file = host.Folders.Files.Single(each => each.EndsWith(".json", StringComparison.Ordinal));
        var text = Encoding.UTF8.GetString(host.Folders.Read(file)!).Replace("\"revision\": 1", "\"revision\": 77", StringComparison.Ordinal)
            .Replace("\"revision\": 2", "\"revision\": 77", StringComparison.Ordinal);
        host.Folders.Write(file, Encoding.UTF8.GetBytes(text.Replace("/src/vm0.vhdx", "/denied/x", StringComparison.Ordinal)));
        host.Reconciler.FollowFiles();
        Assert.Equal("/src/vm0.vhdx", host.Parts.Vms.Find(vm.Id)!.Disks[0].Path);
        Assert.Contains(host.Told, told => told.Contains("/denied/x", StringComparison.Ordinal));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_VM_of_a_godwitd_that_knew_no_folders_gets_one()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync(running: false);
        host.Folders.DeleteFile(host.Folders.Files.Single(each => each.EndsWith(".json", StringComparison.Ordinal)));
        host.Database.Execute("UPDATE vms SET body = replace(body, '\"/vms/vm\"', '\"\"')");
        Assert.Equal("", host.Parts.Vms.Get("vm").Path);
        await host.KillAndStartDaemonAsync();
        Assert.Equal("/vms/vm", host.Parts.Vms.Get("vm").Path);
        Assert.Contains($"/vms/vm/Virtual Machines/{vm.Id:D}.json", host.Folders.Files);
        Assert.Null(host.Parts.Vms.Follow(vm.Id));
    }

    [Fact(Timeout = 20_000)]
    public async Task Copies_taken_names_and_shared_disks_are_refused()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync(running: false);
        var text = Encoding.UTF8.GetString(host.Folders.Read($"/vms/vm/Virtual Machines/{vm.Id:D}.json")!);
        host.Folders.Write($"/vms/copy/Virtual Machines/{vm.Id:D}.json", Encoding.UTF8.GetBytes(text));
        Assert.Contains("copy", await ProblemAsync(host, "/vms/copy"), StringComparison.Ordinal);
        var other = Guid.NewGuid();
        var twin = text.Replace(vm.Id.ToString("D"), other.ToString("D"), StringComparison.Ordinal);
        host.Folders.Write($"/vms/twin/Virtual Machines/{other:D}.json", Encoding.UTF8.GetBytes(twin));
        Assert.Contains("named 'vm'", await ProblemAsync(host, "/vms/twin"), StringComparison.Ordinal);
        twin = twin.Replace("\"name\": \"vm\"", "\"name\": \"twin\"", StringComparison.Ordinal);
        host.Folders.Write($"/vms/twin/Virtual Machines/{other:D}.json", Encoding.UTF8.GetBytes(twin));
        Assert.Contains("/src/vm0.vhdx", await ProblemAsync(host, "/vms/twin"), StringComparison.Ordinal);
        host.Folders.Write($"/vms/named/Virtual Machines/{Guid.NewGuid():D}.json", Encoding.UTF8.GetBytes(twin));
        Assert.Contains("its name must be that id", await ProblemAsync(host, "/vms/named"), StringComparison.Ordinal);
        Assert.Single(host.Parts.Vms.List());
    }

    [Fact(Timeout = 20_000)]
    public async Task A_folder_that_was_moved_is_the_VM_s_new_folder_and_a_missing_disk_is_told()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync(running: false);
        var content = host.Folders.Read($"/vms/vm/Virtual Machines/{vm.Id:D}.json")!;
        Lose(host);
        host.Folders.DeleteFile($"/vms/vm/Virtual Machines/{vm.Id:D}.json");
        host.Folders.DeleteFile("/src/vm0.vhdx");
        host.Folders.Write($"/dst/x/Virtual Machines/{vm.Id:D}.json", content);
        var finding = Assert.Single(await host.Rescan.RunAsync(new RescanRequest(["/dst"]), Token));
        Assert.Equal((RescanOutcome.Added, ErrorCode.NotFound), (finding.Outcome, finding.Problem?.Code));
        Assert.Equal("/dst/x", host.Parts.Vms.Get("vm").Path);
        var e = await Assert.ThrowsAsync<GodwitException>(() => host.Rescan.RunAsync(new RescanRequest(["/denied"]), Token));
        Assert.Equal(ErrorCode.AccessDenied, e.Problem.Code);
    }

    private static async Task<string> ProblemAsync(FakeHost host, string folder)
    {
        var finding = Assert.Single(await host.Rescan.RunAsync(new RescanRequest([folder]), Token));
        Assert.Equal(RescanOutcome.Refused, finding.Outcome);
        return finding.Problem!.Title;
    }

    private static void Lose(FakeHost host)
    {
        host.Database.Execute("DELETE FROM vms");
        host.Database.Execute("DELETE FROM ownership");
    }
}
