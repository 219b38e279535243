using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>A checkpoint, disturbed at every step in every way: it is there with disks and memory of one moment, or nothing of it; the VM goes on.</summary>
public sealed class CheckpointScenarioTests
{
    private const string Commit = "Cut the disks";

    private static readonly string[] Steps =
        ["Check state and space", "Start the disk worker", "Keep the memory", Commit, "Let the VM go on", "Record the checkpoint", "Release the disk worker"];

    private static readonly VirtualMachineState[] States =
        [VirtualMachineState.Running, VirtualMachineState.Paused, VirtualMachineState.Saved, VirtualMachineState.Off];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<VirtualMachineState> EveryState() => [.. States];

    public static TheoryData<string, VirtualMachineState, Disturbance> Everything()
    {
        var rows = new TheoryData<string, VirtualMachineState, Disturbance>();
        foreach (var step in Steps)
        {
            foreach (var state in States)
            {
                foreach (var how in Enum.GetValues<Disturbance>())
                    rows.Add(step, state, how);
            }
        }
        return rows;
    }

    [Theory(Timeout = 30_000), MemberData(nameof(EveryState))]
    public async Task Taken_it_is_there_and_the_VM_goes_on(VirtualMachineState state)
    {
        await using var host = await CreateAsync(state);
        var job = await TakeAsync(host);
        Assert.Equal(JobState.Succeeded, job.State);
        Assert.Equal(Steps, host.Faults.Trace);
        await AssertAsync(host, state, taken: true);
        var taken = Assert.Single(host.Checkpoints.List("vm").Checkpoints);
        Assert.Equal("before", taken.Name);
        Assert.Equal(state == VirtualMachineState.Off ? VirtualMachineState.Off : VirtualMachineState.Saved, taken.State);
    }

    [Theory(Timeout = 60_000), MemberData(nameof(Everything))]
    public async Task Disturbed_there_is_all_of_it_or_nothing(string step, VirtualMachineState state, Disturbance how)
    {
        await using var host = await CreateAsync(state);
        host.Faults.At = Disturb.At(host, step, how);
        var job = await TakeAsync(host);
        var past = Array.IndexOf(Steps, step) > Array.IndexOf(Steps, Commit) || (step == Commit && how is Disturbance.FailAfter or Disturbance.KillAfter);
        var ended = how switch
        {
            Disturbance.KillBefore or Disturbance.KillAfter => JobState.Succeeded,
            _ when past || (step == Commit && how == Disturbance.Cancel) => JobState.Succeeded,
            Disturbance.Cancel => JobState.Cancelled,
            _ => JobState.Failed,
        };
        Assert.True(job.State == ended, $"{job.State} instead of {ended}: {job.Problem}");
        await AssertAsync(host, state, taken: ended == JobState.Succeeded);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(VirtualMachineState.Running)]
    [InlineData(VirtualMachineState.Off)]
    public async Task A_refused_cut_leaves_nothing(VirtualMachineState state)
    {
        await using var host = await CreateAsync(state);
        host.Workers.RefusedCuts = true;
        var job = await TakeAsync(host);
        Assert.Equal(ErrorCode.Busy, job.Problem!.Code);
        await AssertAsync(host, state, taken: false);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_full_disk_leaves_nothing_and_the_VM_goes_on()
    {
        await using var host = await CreateAsync(VirtualMachineState.Running);
        host.Runtime.SaveProblem = "No space left on device";
        Assert.Equal(ErrorCode.NoSpace, (await TakeAsync(host)).Problem!.Code);
        await AssertAsync(host, VirtualMachineState.Running, taken: false);
    }

    [Fact(Timeout = 30_000)]
    public async Task The_file_that_cannot_be_written_does_not_lose_the_checkpoint()
    {
        await using var host = await CreateAsync(VirtualMachineState.Running);
        host.Faults.At = (told, acted) =>
        {
            host.Folders.Unwritable = host.Folders.Unwritable || (told.Step == Commit && acted);
            return Task.CompletedTask;
        };
        Assert.Equal(JobState.Succeeded, (await TakeAsync(host)).State);
        host.Folders.Unwritable = false;
        await host.KillAndStartDaemonAsync();
        await AssertAsync(host, VirtualMachineState.Running, taken: true);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_VM_that_was_let_run_meanwhile_gives_no_checkpoint_of_two_moments()
    {
        await using var host = await CreateAsync(VirtualMachineState.Running);
        host.Faults.At = Disturb.Once(Commit, false, async _ => await host.Runtime.ResumeAsync(host.Parts.Vms.Get("vm"), Token));
        Assert.Equal(ErrorCode.WrongState, (await TakeAsync(host)).Problem!.Code);
        await AssertAsync(host, VirtualMachineState.Running, taken: false);
    }

    [Fact(Timeout = 30_000)]
    public async Task The_computer_loses_its_power_between_the_cut_and_the_record()
    {
        await using var host = await CreateAsync(VirtualMachineState.Running);
        host.Faults.At = Disturb.Once(Commit, true, _ => host.Faults.KillAsync());
        var job = await host.Checkpoints.CreateAsync("vm", new CheckpointSpec("before"), Token);
        await host.UntilAsync(() => host.Faults.Killed);
        host.Faults.Killed = false;
        await host.RebootAsync();
        Assert.Equal(JobState.Succeeded, (await host.EndAsync(job.Id)).State);
        Assert.Single(host.Checkpoints.List("vm").Checkpoints);
        var vm = host.Parts.Vms.Get("vm");
        Assert.All(vm.Disks, disk => Assert.True(host.Folders.FileExists(disk.Path)));
    }

    [Fact(Timeout = 30_000)]
    public async Task What_cannot_be_is_refused()
    {
        await using var host = await CreateAsync(VirtualMachineState.Running);
        await RefusedAsync(ErrorCode.InvalidRequest, new CheckpointSpec(""));
        await RefusedAsync(ErrorCode.InvalidRequest, new CheckpointSpec("a\nb"));
        await RefusedAsync(ErrorCode.WrongState, new CheckpointSpec(Type: CheckpointType.Disabled));
        await RefusedAsync(ErrorCode.InvalidRequest, new CheckpointSpec(Type: (CheckpointType)9));
        await RefusedAsync(ErrorCode.Unsupported, new CheckpointSpec(Type: CheckpointType.ProductionOnly));
        host.Folders.Available = 1 << 20;
        await RefusedAsync(ErrorCode.NoSpace, new CheckpointSpec());

        async Task RefusedAsync(ErrorCode code, CheckpointSpec spec) =>
            Assert.Equal(code, (await Assert.ThrowsAsync<GodwitException>(() => host.Checkpoints.CreateAsync("vm", spec, Token))).Problem.Code);
    }

    private static async Task<FakeHost> CreateAsync(VirtualMachineState state)
    {
        var host = new FakeHost();
        await host.AddVmAsync(disks: 2, running: state != VirtualMachineState.Off);
        if (state == VirtualMachineState.Paused)
            await host.Control.PauseAsync("vm", Token);
        if (state == VirtualMachineState.Saved)
            await host.EndAsync((await host.Saved.SubmitAsync("vm", Token)).Id);
        host.Faults.Forget();
        return host;
    }

    private static async Task<Job> TakeAsync(FakeHost host) => await host.EndAsync((await host.Checkpoints.CreateAsync("vm", new CheckpointSpec("before"), Token)).Id);

    private static async Task AssertAsync(FakeHost host, VirtualMachineState state, bool taken)
    {
        var vm = await host.Operations.GetAsync("vm", Token);
        Assert.Equal(state, vm.State);
        var record = host.Parts.Vms.Get("vm");
        Assert.Equal(taken ? 1 : 0, record.Checkpoints?.Count ?? 0);
        Assert.Equal(taken, record.CurrentCheckpoint is not null);
        Assert.All(record.Disks, disk => Assert.Equal(taken, disk.Path.EndsWith(".avhdx", StringComparison.Ordinal)));
        Assert.Equal(record.Disks.Select(disk => disk.Path), host.Workers.Find(record.Id)?.Disks.Select(disk => disk.Path) ?? record.Disks.Select(disk => disk.Path));
        string[] memory = [.. new[] { record.Saved?.File, record.Checkpoints?[0].Saved?.File }.OfType<string>()];
        Assert.Equal((state == VirtualMachineState.Saved ? 1 : 0) + (taken && state != VirtualMachineState.Off ? 1 : 0), memory.Length);
        string[] expected = ["/src/vm0.vhdx", "/src/vm1.vhdx", record.ConfigurationFile, .. memory, .. taken ? record.Disks.Select(disk => disk.Path) : []];
        Assert.Equal(expected.Order(StringComparer.Ordinal), host.Folders.Files.Order(StringComparer.Ordinal));
        Assert.Equal(state is VirtualMachineState.Running or VirtualMachineState.Paused, host.Workers.Find(record.Id)?.Running == true);
        host.Folders.Contents.AssertWhole();
    }
}
