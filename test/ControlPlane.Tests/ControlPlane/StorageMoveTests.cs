using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>What a storage move refuses, reports and survives.</summary>
public sealed class StorageMoveTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory(Timeout = 30_000)]
    [InlineData("dst", null, ErrorCode.InvalidRequest)]
    [InlineData("", null, ErrorCode.InvalidRequest)]
    [InlineData("/denied/x", null, ErrorCode.AccessDenied)]
    [InlineData("/readonly", null, ErrorCode.AccessDenied)]
    [InlineData("/src", null, ErrorCode.InvalidRequest)]
    [InlineData("/src/../src", null, ErrorCode.InvalidRequest)]
    [InlineData("/dst/file", null, ErrorCode.InvalidRequest)]
    [InlineData("/taken", null, ErrorCode.AlreadyExists)]
    [InlineData("/dst", "disk7", ErrorCode.NotFound)]
    [InlineData("/dst", "disk0,disk0", ErrorCode.InvalidRequest)]
    [InlineData("/dst", ",", ErrorCode.InvalidRequest)]
    public async Task What_cannot_work_is_refused_before_anything_changes(string destination, string? disks, ErrorCode code)
    {
        await using var host = new FakeHost();
        await host.AddVmAsync();
        host.Folders.AddFile("/dst/file");
        host.Folders.Create("/taken");
        host.Folders.AddFile("/taken/vm0.vhdx");
        var files = host.Folders.Images;
        var request = new StorageMoveRequest(destination, disks?.Split(',', StringSplitOptions.RemoveEmptyEntries));
        foreach (var dryRun in new[] { true, false })
        {
            var e = await Assert.ThrowsAsync<GodwitException>(() => dryRun
                ? host.Moves.PlanAsync("vm", request, Token) : host.Moves.SubmitAsync("vm", request, Token));
            Assert.Equal(code, e.Problem.Code);
        }
        Assert.DoesNotContain(host.Jobs.List(), job => job.Kind == "move-storage");
        Assert.Equal(files, host.Folders.Images);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_target_without_room_is_refused_with_both_numbers()
    {
        await using var host = new FakeHost();
        await host.AddVmAsync(disks: 2);
        host.Folders.Available = (2 * FakeWorkers.Allocated) - 1;
        var e = await Assert.ThrowsAsync<GodwitException>(() => host.Moves.SubmitAsync("vm", new StorageMoveRequest("/dst"), Token));
        Assert.Equal(ErrorCode.NoSpace, e.Problem.Code);
        Assert.Contains("600", e.Problem.Title, StringComparison.Ordinal);
        Assert.Contains("599", e.Problem.Title, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task Two_disks_of_one_file_name_cannot_go_to_one_folder()
    {
        await using var host = new FakeHost();
        host.Folders.Create("/src/b");
        await host.Life.CreateAsync(
            new VirtualMachineSpec("vm", new VirtualMachineSettings(), [new DiskSpec("/src/a.vhdx", 1 << 30), new DiskSpec("/src/b/a.vhdx", 1 << 30)]), Token);
        var e = await Assert.ThrowsAsync<GodwitException>(() => host.Moves.PlanAsync("vm", new StorageMoveRequest("/dst"), Token));
        Assert.Equal(ErrorCode.AlreadyExists, e.Problem.Code);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_dry_run_lists_the_plan_and_changes_nothing()
    {
        await using var host = new FakeHost();
        await host.AddVmAsync(disks: 2);
        var plan = await host.Moves.PlanAsync("vm", new StorageMoveRequest("/dst/new", ["disk1"], DryRun: true), Token);
        Assert.Equal([new StorageMoveItem("disk1", "/src/vm1.vhdx", "/dst/new/vm1.vhdx", FakeWorkers.Allocated, 1 << 30)], plan.Items);
        Assert.Equal(["Validate", "Prepare", "Copy", "InSync", "Switchover", "Finish"], plan.Phases);
        Assert.False(host.Folders.FolderExists("/dst/new"));
        Assert.Empty(host.Workers.Trace);
        Assert.DoesNotContain(host.Jobs.List(), job => job.Kind == "move-storage");
    }

    [Fact(Timeout = 30_000)]
    public async Task A_second_move_of_a_busy_VM_is_refused_and_so_is_its_removal()
    {
        await using var host = new FakeHost();
        await host.AddVmAsync();
        var job = await host.Moves.SubmitAsync("vm", new StorageMoveRequest("/dst"), Token);
        var e = await Assert.ThrowsAsync<GodwitException>(() => host.Moves.SubmitAsync("vm", new StorageMoveRequest("/dst"), Token));
        Assert.Equal(ErrorCode.Busy, e.Problem.Code);
        e = await Assert.ThrowsAsync<GodwitException>(() => host.Life.RemoveAsync("vm", false, false, Token));
        Assert.Equal(ErrorCode.Busy, e.Problem.Code);
        Assert.Equal(job.Id, (await host.Operations.GetAsync("vm", Token)).JobId);
        await host.EndAsync(job.Id);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_old_file_stays_only_when_asked(bool retain)
    {
        await using var host = new FakeHost();
        await host.AddVmAsync();
        var job = await host.Moves.SubmitAsync("vm", new StorageMoveRequest("/dst", RetainSource: retain), Token);
        Assert.Equal(JobState.Succeeded, (await host.EndAsync(job.Id)).State);
        Assert.Equal(retain, host.Folders.FileExists("/src/vm0.vhdx"));
        Assert.True(host.Folders.FileExists("/dst/vm0.vhdx"));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_target_that_fails_half_way_fails_the_job_and_says_why_and_that_the_VM_goes_on()
    {
        await using var host = new FakeHost();
        await host.AddVmAsync(disks: 2);
        host.Workers.FailingTargets.Add("disk1");
        var job = await host.EndAsync((await host.Moves.SubmitAsync("vm", new StorageMoveRequest("/dst/x"), Token)).Id);
        Assert.Equal(JobState.Failed, job.State);
        Assert.Equal(ErrorCode.NoSpace, job.Problem!.Code);
        Assert.Contains("disk1", job.Problem.Title, StringComparison.Ordinal);
        Assert.Contains("/src/vm1.vhdx", job.Problem.Remedy, StringComparison.Ordinal);
        Assert.Equal(["/src/vm0.vhdx", "/src/vm1.vhdx"], host.Folders.Images);
        Assert.False(host.Folders.FolderExists("/dst/x"));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_disk_that_cannot_switch_after_the_first_has_stays_behind_and_the_job_says_so()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync(disks: 2);
        host.Workers.RefusedSwitches.Add("disk1");
        var job = await host.EndAsync((await host.Moves.SubmitAsync("vm", new StorageMoveRequest("/dst"), Token)).Id);
        Assert.Equal(JobState.Failed, job.State);
        Assert.Contains("disk1 stayed on '/src/vm1.vhdx'", job.Problem!.Title, StringComparison.Ordinal);
        Assert.Equal(["/dst/vm0.vhdx", "/src/vm1.vhdx"], host.Folders.Images);
        Assert.Equal(["/dst/vm0.vhdx", "/src/vm1.vhdx"], host.Parts.Vms.Get("vm").Disks.Select(disk => disk.Path));
        Assert.Equal(["/dst/vm0.vhdx", "/src/vm1.vhdx"], host.Workers.Find(vm.Id)!.Disks.Select(disk => disk.Path));
        Assert.Equal("done", job.Steps.Single(step => step.Name == "Release the disk worker").State);
    }

    [Fact(Timeout = 30_000)]
    public async Task An_old_file_that_will_not_go_is_reported_and_the_VM_stays_on_the_new_one()
    {
        await using var host = new FakeHost();
        await host.AddVmAsync();
        host.Folders.Stuck.Add("/src/vm0.vhdx");
        var job = await host.EndAsync((await host.Moves.SubmitAsync("vm", new StorageMoveRequest("/dst"), Token)).Id);
        Assert.Equal(JobState.Failed, job.State);
        Assert.False(job.CanCancel);
        Assert.Contains("/src/vm0.vhdx", job.Problem!.Title, StringComparison.Ordinal);
        Assert.Equal("/dst/vm0.vhdx", host.Parts.Vms.Get("vm").Disks[0].Path);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_VM_may_be_stopped_while_it_moves_and_its_worker_stays_until_the_move_has_ended(bool turnOff)
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        host.Faults.At = async (told, acted) =>
        {
            if (told.Step == "Copy disk0" && acted)
            {
                await host.Operations.StopAsync("vm", new StopRequest(turnOff), Token);
                Assert.True(host.Workers.Find(vm.Id)!.Running);
                await host.Reconciler.ReconcileAsync(Token);
                Assert.True(host.Workers.Find(vm.Id)!.Running);
            }
        };
        var job = await host.EndAsync((await host.Moves.SubmitAsync("vm", new StorageMoveRequest("/dst"), Token)).Id);
        Assert.Equal(JobState.Succeeded, job.State);
        Assert.False(host.Workers.Find(vm.Id)!.Running);
        Assert.Equal(["/dst/vm0.vhdx"], host.Folders.Images);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_VM_may_be_started_while_it_moves_and_keeps_its_worker()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync(running: false);
        host.Faults.At = async (told, acted) =>
        {
            if (told.Step == "Verify disk0" && !acted)
                await host.Operations.StartAsync("vm", Token);
        };
        var job = await host.EndAsync((await host.Moves.SubmitAsync("vm", new StorageMoveRequest("/dst"), Token)).Id);
        Assert.Equal(JobState.Succeeded, job.State);
        Assert.True(host.Workers.Find(vm.Id)!.Running);
        Assert.Equal(VirtualMachineState.Running, host.Runtime[vm.Id]);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_worker_that_was_restarted_is_noted_and_a_lost_one_is_started_again()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        host.Faults.At = (told, acted) =>
        {
            if (told.Step == "Verify disk0" && !acted)
                host.Workers.Restart(vm.Id);
            if (told.Step == "Switch over" && !acted)
                host.Workers.Kill(vm.Id);
            return Task.CompletedTask;
        };
        var job = await host.EndAsync((await host.Moves.SubmitAsync("vm", new StorageMoveRequest("/dst"), Token)).Id);
        Assert.Equal(JobState.Succeeded, job.State);
        Assert.Equal(2, job.Notes.Count(note => note.StartsWith("worker restarted", StringComparison.Ordinal)));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_worker_that_does_not_come_back_before_the_switch_fails_the_step_after_a_minute_and_is_asked_until_it_answers()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        var since = TimeSpan.Zero;
        host.Faults.At = (told, acted) =>
        {
            if (told is { Step: "Copy disk0", IsUndo: false } && !acted)
            {
                host.Workers.Kill(vm.Id);
                host.Workers.CannotStart = true;
            }
            return Task.CompletedTask;
        };
        var job = await host.Moves.SubmitAsync("vm", new StorageMoveRequest("/dst"), Token);
        await host.UntilAsync(() => host.Jobs.Get(job.Id).State == JobState.Undoing);
        host.Workers.CannotStart = false;
        job = await host.EndAsync(job.Id);
        Assert.Equal(JobState.Failed, job.State);
        Assert.Equal(ErrorCode.Unavailable, job.Problem!.Code);
        Assert.Equal(["/src/vm0.vhdx"], host.Folders.Images);
        Assert.Null(host.Workers.Find(vm.Id)!.Disks[0].Mirror);
    }

    [Fact(Timeout = 30_000)]
    public async Task Progress_never_runs_backwards_and_names_rate_and_time_left()
    {
        await using var host = new FakeHost();
        await host.AddVmAsync(disks: 2);
        var job = await host.Moves.SubmitAsync("vm", new StorageMoveRequest("/dst"), Token);
        var seen = new List<Job>();
        var watch = Task.Run(async () =>
        {
            await foreach (var one in host.Jobs.WatchAsync(job.Id, Token))
                seen.Add(one);
        }, Token);
        await host.EndAsync(job.Id);
        await watch;
        Assert.True(seen[^1].HasEnded);
        var progress = seen.Where(one => one.Progress is not null).Select(one => one.Progress!).ToList();
        Assert.Equal(progress.Select(one => one.Percent).Order(), progress.Select(one => one.Percent));
        Assert.All(progress, one => Assert.InRange(one.BytesDone, 0, one.BytesTotal));
        Assert.Contains(progress, one => one.BytesPerSecond > 0 && one.SecondsLeft > 0);
    }
}
