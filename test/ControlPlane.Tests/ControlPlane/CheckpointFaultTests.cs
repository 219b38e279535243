using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>What fails while a checkpoint is applied or merged costs nothing that was there.</summary>
public sealed class CheckpointFaultTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = 30_000)]
    public async Task A_disk_that_cannot_be_opened_is_not_taken_for_a_merged_one()
    {
        await using var host = await WithCheckpointAsync(running: false);
        var before = host.Parts.Vms.Get("vm");
        var disk = host.Workers.Find(before.Id)!.Disk("disk0");
        disk.Problem = new Problem(ErrorCode.Busy, "somebody else has it open");
        var job = await RemoveAsync(host);
        Assert.Equal((JobState.Failed, ErrorCode.Busy), (job.State, job.Problem!.Code));
        var after = host.Parts.Vms.Get("vm");
        Assert.Equal(before.Disks, after.Disks);
        Assert.Equal((1, before.CurrentCheckpoint), (host.Checkpoints.List("vm").Unmerged, after.CurrentCheckpoint));
        disk.Problem = null;
        Assert.Equal(JobState.Succeeded, (await host.EndAsync((await host.Checkpoints.MergeAsync("vm", Token)).Id)).State);
        Assert.Equal(["/src/vm0.vhdx", "/src/vm1.vhdx"], host.Folders.Images);
        host.Folders.Contents.AssertWhole();
    }

    [Fact(Timeout = 30_000)]
    public async Task A_merge_that_fails_is_told_and_can_be_done_again()
    {
        await using var host = await WithCheckpointAsync(running: true);
        host.Workers.FailingMerges.Add("disk1");
        var job = await RemoveAsync(host);
        Assert.Equal((JobState.Failed, ErrorCode.NoSpace), (job.State, job.Problem!.Code));
        Assert.Equal(VirtualMachineState.Running, (await host.Operations.GetAsync("vm", Token)).State);
        host.Workers.FailingMerges.Clear();
        Assert.Equal(JobState.Succeeded, (await host.EndAsync((await host.Checkpoints.MergeAsync("vm", Token)).Id)).State);
        Assert.Equal(["/src/vm0.vhdx", "/src/vm1.vhdx"], host.Folders.Images);
        host.Folders.Contents.AssertWhole();
    }

    [Fact(Timeout = 30_000)]
    public async Task A_running_VM_goes_on_when_there_is_no_room_to_apply_a_checkpoint()
    {
        await using var host = await WithCheckpointAsync(running: true);
        var before = host.Parts.Vms.Get("vm");
        host.Images.Broken = "/src/vm1_";
        var job = await host.EndAsync((await host.Checkpoints.ApplyAsync("vm", "before", new ApplyRequest(Force: true), Token)).Id);
        Assert.Equal((JobState.Failed, ErrorCode.NoSpace), (job.State, job.Problem!.Code));
        Assert.Equal(VirtualMachineState.Running, (await host.Operations.GetAsync("vm", Token)).State);
        Assert.DoesNotContain("turn off", host.Runtime.Trace);
        Assert.Equal(before.Images.Order(StringComparer.Ordinal), host.Folders.Images.Order(StringComparer.Ordinal));
    }

    private static async Task<FakeHost> WithCheckpointAsync(bool running)
    {
        var host = new FakeHost();
        await host.AddVmAsync(disks: 2, running: running);
        Assert.Equal(JobState.Succeeded, (await host.EndAsync((await host.Checkpoints.CreateAsync("vm", new CheckpointSpec("before"), Token)).Id)).State);
        return host;
    }

    private static async Task<Job> RemoveAsync(FakeHost host) =>
        await host.EndAsync((await host.Checkpoints.RemoveAsync("vm", "before", false, Token)).Id);
}
