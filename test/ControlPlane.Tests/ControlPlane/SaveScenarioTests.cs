using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>A saving, disturbed at every step in every way: the VM is saved, or it goes on as if nothing had been; never both.</summary>
public sealed class SaveScenarioTests
{
    private const string Commit = "Record the saved state";

    private static readonly string[] Steps = ["Check state and space", "Write the memory", Commit, "End the processes"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string, bool> EveryStep()
    {
        var rows = new TheoryData<string, bool>();
        foreach (var step in Steps)
        {
            rows.Add(step, true);
            rows.Add(step, false);
        }
        return rows;
    }

    [Theory(Timeout = 30_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Saved_and_restored_it_is_as_before(bool running)
    {
        await using var host = new FakeHost();
        var job = await SaveAsync(host, running);
        Assert.Equal(JobState.Succeeded, job.State);
        Assert.Equal(Steps, host.Faults.Trace);
        var vm = await AssertSavedAsync(host, running);
        Assert.Equal([vm.SavedState!.File], host.Folders.Synced);
        vm = await host.Operations.StartAsync("vm", Token);
        Assert.Equal(running ? VirtualMachineState.Running : VirtualMachineState.Paused, vm.State);
        Assert.Null(vm.SavedState);
        AssertNothingLeft(host);
        Assert.Equal(running, host.Runtime.Trace.Last() == "resume");
    }

    [Theory(Timeout = 30_000), MemberData(nameof(EveryStep))]
    public async Task Cancelled_before_a_step(string step, bool running)
    {
        await using var host = new FakeHost();
        host.Faults.At = Once(step, false, told =>
        {
            try
            {
                host.Jobs.Cancel(told.Job);
            }
            catch (GodwitException e)
            {
                Assert.Equal(ErrorCode.WrongState, e.Problem.Code);
            }
            return Task.CompletedTask;
        });
        var job = await SaveAsync(host, running);
        await AssertEndedAsync(host, job, running, IsPast(step) ? JobState.Succeeded : JobState.Cancelled);
    }

    [Theory(Timeout = 30_000), MemberData(nameof(EveryStep))]
    public async Task A_step_fails_before_it_acts(string step, bool running)
    {
        await using var host = new FakeHost();
        host.Faults.At = Once(step, false, _ => throw new GodwitException(ErrorCode.IoFailed, "injected"));
        var job = await SaveAsync(host, running);
        await AssertEndedAsync(host, job, running, IsPast(step) && step != Commit ? JobState.Succeeded : JobState.Failed);
    }

    [Theory(Timeout = 30_000), MemberData(nameof(EveryStep))]
    public async Task A_step_fails_after_it_acted(string step, bool running)
    {
        await using var host = new FakeHost();
        host.Faults.At = Once(step, true, _ => throw new InvalidOperationException("injected"));
        var job = await SaveAsync(host, running);
        await AssertEndedAsync(host, job, running, IsPast(step) ? JobState.Succeeded : JobState.Failed);
    }

    [Theory(Timeout = 30_000), MemberData(nameof(EveryStep))]
    public async Task The_daemon_is_killed_before_a_step(string step, bool running)
    {
        await using var host = new FakeHost();
        host.Faults.At = Once(step, false, _ => host.Faults.KillAsync());
        await AssertEndedAsync(host, await SaveAsync(host, running), running, JobState.Succeeded);
    }

    [Theory(Timeout = 30_000), MemberData(nameof(EveryStep))]
    public async Task The_daemon_is_killed_after_a_step(string step, bool running)
    {
        await using var host = new FakeHost();
        host.Faults.At = Once(step, true, _ => host.Faults.KillAsync());
        await AssertEndedAsync(host, await SaveAsync(host, running), running, JobState.Succeeded);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_daemon_is_killed_while_a_failed_saving_is_taken_back(bool running)
    {
        await using var host = new FakeHost();
        var killed = 0;
        host.Faults.At = (told, acted) => told switch
        {
            { IsUndo: false, Step: Commit } when !acted => throw new GodwitException(ErrorCode.IoFailed, "injected"),
            { IsUndo: true } when killed++ < 3 => host.Faults.KillAsync(),
            _ => Task.CompletedTask,
        };
        await AssertEndedAsync(host, await SaveAsync(host, running), running, JobState.Failed);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("No space left on device", ErrorCode.NoSpace)]
    [InlineData("Input/output error", ErrorCode.IoFailed)]
    public async Task What_QEMU_cannot_write_is_told_and_the_VM_goes_on(string problem, ErrorCode code)
    {
        await using var host = new FakeHost();
        host.Runtime.SaveProblem = problem;
        var job = await SaveAsync(host, true);
        Assert.Equal(code, job.Problem!.Code);
        await AssertEndedAsync(host, job, true, JobState.Failed);
    }

    [Fact(Timeout = 30_000)]
    public async Task The_record_that_cannot_be_written_is_no_commit()
    {
        await using var host = new FakeHost();
        host.Faults.At = Once(Commit, false, _ =>
        {
            host.Folders.Unwritable = true;
            return Task.CompletedTask;
        });
        await AssertEndedAsync(host, await SaveAsync(host, true), true, JobState.Failed);
    }

    [Fact(Timeout = 30_000)]
    public async Task What_cannot_be_saved_is_refused()
    {
        await using var host = new FakeHost();
        await host.AddVmAsync(running: false);
        await RefusedAsync(ErrorCode.WrongState, () => host.Saved.SubmitAsync("vm", Token));
        await host.Operations.StartAsync("vm", Token);
        host.Folders.Available = 1 << 20;
        await RefusedAsync(ErrorCode.NoSpace, () => host.Saved.SubmitAsync("vm", Token));
        await RefusedAsync(ErrorCode.WrongState, () => host.Saved.DiscardAsync("vm", Token));
    }

    [Fact(Timeout = 30_000)]
    public async Task A_saved_VM_keeps_its_settings_and_may_get_another_name()
    {
        await using var host = new FakeHost();
        await SaveAsync(host, true);
        await RefusedAsync(ErrorCode.WrongState, () => host.Changes.SetAsync("vm", new SettingsChange(Cpus: 2), Token));
        await RefusedAsync(ErrorCode.WrongState, () => host.Operations.StopAsync("vm", new StopRequest(), Token));
        await host.Changes.SetAsync("vm", new SettingsChange(Notes: "x"), Token);
        await host.Changes.RenameAsync("vm", "other", Token);
        Assert.Equal(VirtualMachineState.Running, (await host.Operations.StartAsync("other", Token)).State);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_state_that_does_not_load_is_kept_until_it_is_discarded()
    {
        await using var host = new FakeHost();
        await SaveAsync(host, true);
        host.Runtime.SaveProblem = "it does not fit";
        await RefusedAsync(ErrorCode.Unavailable, () => host.Operations.StartAsync("vm", Token));
        await AssertSavedAsync(host, true);
        await host.Saved.DiscardAsync("vm", Token);
        AssertNothingLeft(host);
        Assert.Equal(VirtualMachineState.Running, (await host.Operations.StartAsync("vm", Token)).State);
        Assert.Equal("start", host.Runtime.Trace.Last());
    }

    [Fact(Timeout = 30_000)]
    public async Task A_state_of_other_memory_than_the_record_says_is_not_loaded()
    {
        await using var host = new FakeHost();
        await SaveAsync(host, true);
        var id = host.Parts.Vms.Get("vm").Id;
        // As if somebody had edited the file.
        host.Parts.Vms.Change(id, vm => vm with { Settings = vm.Settings with { Memory = 128 << 20 } });
        await RefusedAsync(ErrorCode.WrongState, () => host.Operations.StartAsync("vm", Token));
        await AssertSavedAsync(host, true);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_state_whose_file_is_gone_is_told()
    {
        await using var host = new FakeHost();
        await SaveAsync(host, true);
        host.Folders.DeleteFile((await AssertSavedAsync(host, true)).SavedState!.File);
        await RefusedAsync(ErrorCode.NotFound, () => host.Operations.StartAsync("vm", Token));
        Assert.Equal(VirtualMachineState.Saved, (await host.Operations.GetAsync("vm", Token)).State);
    }

    [Fact(Timeout = 30_000)]
    public async Task The_record_that_cannot_be_written_ends_a_restoring_and_the_state_is_kept()
    {
        await using var host = new FakeHost();
        await SaveAsync(host, true);
        host.Folders.Unwritable = true;
        await RefusedAsync(ErrorCode.NoSpace, () => host.Operations.StartAsync("vm", Token));
        await AssertSavedAsync(host, true);
        host.Folders.Unwritable = false;
        Assert.Equal(VirtualMachineState.Running, (await host.Operations.StartAsync("vm", Token)).State);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_daemon_killed_while_it_restores_leaves_the_VM_saved_or_running(bool used)
    {
        await using var host = new FakeHost();
        await SaveAsync(host, true);
        var vm = host.Parts.Vms.Get("vm");
        // Loaded, and the vCPUs have not run; with or without the mark that the state is used.
        await host.Workers.EnsureAsync(vm, Token);
        await host.Runtime.RestoreAsync(vm, vm.Saved!, Token);
        if (used)
            host.Parts.Vms.Change(vm.Id, now => now with { Saved = now.Saved! with { Used = true } });
        await host.KillAndStartDaemonAsync();
        var shown = await host.Operations.GetAsync("vm", Token);
        Assert.Equal(used ? VirtualMachineState.Running : VirtualMachineState.Saved, shown.State);
        if (used)
            AssertNothingLeft(host);
        else
            Assert.Equal(VirtualMachineState.Running, (await host.Operations.StartAsync("vm", Token)).State);
    }

    /// <summary>A monitor that was mute while gigabytes were loaded is seen as a VM that waits for a disk.</summary>
    [Fact(Timeout = 30_000)]
    public async Task A_restored_VM_runs_whatever_it_was_last_seen_doing()
    {
        await using var host = new FakeHost();
        await SaveAsync(host, true);
        host.Runtime.RestoredState = VirtualMachineState.PausedCritical;
        Assert.Equal(VirtualMachineState.Running, (await host.Operations.StartAsync("vm", Token)).State);
        AssertNothingLeft(host);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_used_state_of_a_VM_that_ended_meanwhile_is_never_loaded_again()
    {
        await using var host = new FakeHost();
        await SaveAsync(host, true);
        var vm = host.Parts.Vms.Get("vm");
        host.Parts.Vms.Change(vm.Id, now => now with { Saved = now.Saved! with { Used = true } });
        await host.KillAndStartDaemonAsync();
        AssertNothingLeft(host);
        Assert.Equal(VirtualMachineState.Off, (await host.Operations.GetAsync("vm", Token)).State);
        await host.Operations.StartAsync("vm", Token);
        Assert.Equal("start", host.Runtime.Trace.Last());
    }

    [Fact(Timeout = 30_000)]
    public async Task A_removed_VM_takes_its_saved_state_along()
    {
        await using var host = new FakeHost();
        await SaveAsync(host, true);
        await host.Life.RemoveAsync("vm", deleteDisks: false, force: false, Token);
        Assert.Equal(["/src/vm0.vhdx"], host.Folders.Files);
        Assert.DoesNotContain("/vms/vm", host.Folders.Folders);
    }

    [Fact(Timeout = 30_000)]
    public async Task While_it_is_saved_its_processors_are_left_alone_and_its_state_is_Saving()
    {
        await using var host = new FakeHost();
        host.Faults.At = Once("Write the memory", true, async _ =>
        {
            Assert.Equal(VirtualMachineState.Saving, (await host.Operations.GetAsync("vm", Token)).State);
            await RefusedAsync(ErrorCode.Busy, () => host.Control.ResumeAsync("vm", Token));
            await RefusedAsync(ErrorCode.Busy, () => host.Saved.SubmitAsync("vm", Token));
        });
        await AssertEndedAsync(host, await SaveAsync(host, true), true, JobState.Succeeded);
    }

    private static bool IsPast(string step) => Array.IndexOf(Steps, step) >= Array.IndexOf(Steps, Commit);

    private static Func<JobStepEvent, bool, Task> Once(string step, bool after, Func<JobStepEvent, Task> what)
    {
        var done = false;
        return (told, acted) =>
        {
            if (done || told.IsUndo || told.Step != step || acted != after)
                return Task.CompletedTask;
            done = true;
            return what(told);
        };
    }

    private static async Task<Job> SaveAsync(FakeHost host, bool running)
    {
        await host.AddVmAsync();
        if (!running)
            await host.Control.PauseAsync("vm", Token);
        return await host.EndAsync((await host.Saved.SubmitAsync("vm", Token)).Id);
    }

    private static async Task AssertEndedAsync(FakeHost host, Job job, bool running, JobState state)
    {
        Assert.Equal(state, job.State);
        host.Folders.Unwritable = false;
        if (state == JobState.Succeeded)
        {
            await AssertSavedAsync(host, running);
            return;
        }
        var vm = await host.Operations.GetAsync("vm", Token);
        Assert.Equal(running ? VirtualMachineState.Running : VirtualMachineState.Paused, vm.State);
        Assert.Null(vm.SavedState);
        AssertNothingLeft(host);
        // And it stays so when the daemon is started again.
        await host.KillAndStartDaemonAsync();
        Assert.Equal(vm.State, (await host.Operations.GetAsync("vm", Token)).State);
    }

    private static async Task<VirtualMachine> AssertSavedAsync(FakeHost host, bool running)
    {
        var vm = await host.Operations.GetAsync("vm", Token);
        Assert.Equal(VirtualMachineState.Saved, vm.State);
        Assert.Equal(VirtualMachineState.Off, host.Runtime[vm.Id]);
        Assert.False(host.Workers.Find(vm.Id)!.Running);
        Assert.Equal(running, host.Parts.Vms.Get("vm").Saved!.WasRunning);
        Assert.True(host.Folders.FileExists(vm.SavedState!.File));
        Assert.Equal(2, host.Folders.Files.Count(file => file.StartsWith("/vms/", StringComparison.Ordinal)));
        return vm;
    }

    private static void AssertNothingLeft(FakeHost host) =>
        Assert.Single(host.Folders.Files, file => file.StartsWith("/vms/", StringComparison.Ordinal));

    private static async Task RefusedAsync(ErrorCode code, Func<Task> act) =>
        Assert.Equal(code, (await Assert.ThrowsAsync<GodwitException>(act)).Problem.Code);
}
