using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Ownership;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>A storage move, disturbed at every step in every way: it always ends with each disk served from exactly one
/// file, nothing left over, and a guest that was never stopped.</summary>
public sealed class StorageMoveScenarioTests
{
    private const string Commit = "Switch over";

    private static readonly string[] Steps =
    [
        "Check paths, space and disks", "Reserve the next generation", "Make the target folder", "Start the disk worker",
        "Copy disk0", "Copy disk1", "Verify disk0", "Verify disk1", Commit, "Check that the new files serve",
        "Remove the old files", "Confirm the result", "Release the disk worker",
    ];

    public static TheoryData<string, bool> EveryStep() => Rows(Steps);

    /// <summary>Steps that can be undone: those before the commit point.</summary>
    public static TheoryData<string, bool> EveryStepBeforeTheCommit() => Rows(Steps.TakeWhile(step => step != Commit));

    private static TheoryData<string, bool> Rows(IEnumerable<string> steps)
    {
        var rows = new TheoryData<string, bool>();
        foreach (var step in steps)
        {
            rows.Add(step, true);
            rows.Add(step, false);
        }
        return rows;
    }

    [Theory(Timeout = 60_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_undisturbed_move_runs_every_step_once(bool running)
    {
        await using var host = new FakeHost();
        var job = await MoveAsync(host, running);
        Assert.Equal(Steps, host.Faults.Trace);
        Assert.Equal(JobState.Succeeded, job.State);
        Assert.All(job.Steps, step => Assert.Equal("done", step.State));
        Assert.Equal(100, job.Progress!.Percent);
        Assert.Equal(2 * FakeWorkers.Allocated, job.Progress.BytesDone);
        await AssertMovedAsync(host, running);
    }

    [Theory(Timeout = 60_000), MemberData(nameof(EveryStep))]
    public async Task Cancel_before_a_step(string step, bool running)
    {
        await using var host = new FakeHost();
        var refused = false;
        host.Faults.At = Once(step, false, told =>
        {
            try
            {
                host.Jobs.Cancel(told.Job);
            }
            catch (GodwitException e)
            {
                refused = e.Problem.Code == ErrorCode.WrongState;
            }
            return Task.CompletedTask;
        });
        var job = await MoveAsync(host, running);
        var past = Array.IndexOf(Steps, step) >= Array.IndexOf(Steps, Commit);
        Assert.Equal(past, refused);
        Assert.Equal(past ? JobState.Succeeded : JobState.Cancelled, job.State);
        await AssertEndedAsync(host, job, running);
    }

    [Theory(Timeout = 60_000), MemberData(nameof(EveryStep))]
    public async Task A_step_fails_before_it_acts(string step, bool running)
    {
        await using var host = new FakeHost();
        host.Faults.At = Once(step, false, _ => throw new GodwitException(ErrorCode.IoFailed, "injected"));
        var job = await MoveAsync(host, running);
        await AssertEndedAsync(host, job, running);
        // The commit step had not acted: it is undone. A later one is repeated.
        var past = Array.IndexOf(Steps, step) > Array.IndexOf(Steps, Commit);
        Assert.Equal(past ? JobState.Succeeded : JobState.Failed, job.State);
    }

    [Theory(Timeout = 60_000), MemberData(nameof(EveryStep))]
    public async Task A_step_fails_after_it_acted(string step, bool running)
    {
        await using var host = new FakeHost();
        host.Faults.At = Once(step, true, _ => throw new InvalidOperationException("injected"));
        var job = await MoveAsync(host, running);
        await AssertEndedAsync(host, job, running);
        var past = Array.IndexOf(Steps, step) >= Array.IndexOf(Steps, Commit);
        Assert.Equal(past ? JobState.Succeeded : JobState.Failed, job.State);
    }

    [Theory(Timeout = 60_000), MemberData(nameof(EveryStep))]
    public async Task The_daemon_is_killed_before_a_step(string step, bool running) => await KilledAsync(step, running, acted: false);

    [Theory(Timeout = 60_000), MemberData(nameof(EveryStep))]
    public async Task The_daemon_is_killed_after_a_step(string step, bool running) => await KilledAsync(step, running, acted: true);

    [Theory(Timeout = 60_000), MemberData(nameof(EveryStepBeforeTheCommit))]
    public async Task The_daemon_is_killed_while_a_failed_move_is_undone(string step, bool running)
    {
        await using var host = new FakeHost();
        var killed = 0;
        host.Faults.At = (told, acted) => told switch
        {
            { IsUndo: false, Step: Commit } when !acted => throw new GodwitException(ErrorCode.IoFailed, "injected"),
            { IsUndo: true } when told.Step == step && killed++ < 2 => host.Faults.KillAsync(),
            _ => Task.CompletedTask,
        };
        var job = await MoveAsync(host, running);
        Assert.Equal(JobState.Failed, job.State);
        Assert.Equal("injected", job.Problem!.Title);
        Assert.Contains(job.Notes, note => note.Contains("goes on undoing", StringComparison.Ordinal));
        await AssertEndedAsync(host, job, running);
    }

    /// <summary>Each request in turn loses its reply, or is the last thing the daemon does: the world has acted, the daemon does not know.</summary>
    [Theory(Timeout = 120_000)]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Every_request_to_the_worker_loses_its_reply_or_its_daemon(bool kill, bool after)
    {
        for (var at = 0; ; at++)
        {
            await using var host = new FakeHost();
            var count = 0;
            var struck = false;
            await host.AddVmAsync(disks: 2);
            host.Workers.Around = (_, acted) =>
            {
                if (acted != after || count++ != at)
                    return Task.CompletedTask;
                struck = true;
                return kill ? host.Faults.KillAsync() : throw new GodwitException(ErrorCode.Unavailable, "lost");
            };
            var job = await SubmitAsync(host);
            if (job is not null)
            {
                job = await host.EndAsync(job.Id);
                Assert.Equal(JobState.Succeeded, job.State);
                await AssertMovedAsync(host, true);
            }
            if (!struck)
            {
                Assert.InRange(at, 15, 200);
                return;
            }
        }
    }

    private static async Task KilledAsync(string step, bool running, bool acted)
    {
        await using var host = new FakeHost();
        host.Faults.At = Once(step, acted, _ => host.Faults.KillAsync());
        var job = await MoveAsync(host, running);
        Assert.Equal(JobState.Succeeded, job.State);
        Assert.Contains(job.Notes, note => note == $"godwitd restarted; resumed at '{step}'");
        await AssertMovedAsync(host, running);
    }

    private static async Task<Job> MoveAsync(FakeHost host, bool running)
    {
        await host.AddVmAsync(disks: 2, running: running);
        var job = await SubmitAsync(host);
        return await host.EndAsync(job!.Id);
    }

    /// <summary>Null when the world broke before the job was accepted; nothing may have changed then.</summary>
    private static async Task<Job?> SubmitAsync(FakeHost host)
    {
        var submit = host.Moves.SubmitAsync("vm", new StorageMoveRequest("/dst/a/b"), TestContext.Current.CancellationToken);
        if (await Task.WhenAny(submit, Task.Delay(50, TestContext.Current.CancellationToken)) == submit && submit.IsCompletedSuccessfully)
            return await submit;
        if (host.Faults.Killed || submit.IsFaulted)
        {
            Assert.Equal(["/src/vm0.vhdx", "/src/vm1.vhdx"], host.Folders.Images);
            return null;
        }
        return await submit;
    }

    private static Func<JobStepEvent, bool, Task> Once(string step, bool acted, Func<JobStepEvent, Task> fault)
    {
        var done = false;
        return (told, after) =>
        {
            if (done || told.IsUndo || told.Step != step || after != acted)
                return Task.CompletedTask;
            done = true;
            return fault(told);
        };
    }

    private static async Task AssertEndedAsync(FakeHost host, Job job, bool running)
    {
        if (job.State == JobState.Succeeded)
            await AssertMovedAsync(host, running);
        else
            await AssertStayedAsync(host, job, running);
    }

    private static async Task AssertMovedAsync(FakeHost host, bool running)
    {
        Assert.Equal(["/dst/a/b/vm0.vhdx", "/dst/a/b/vm1.vhdx"], host.Folders.Images);
        await AssertServedAsync(host, running, "/dst/a/b", 2);
    }

    private static async Task AssertStayedAsync(FakeHost host, Job job, bool running)
    {
        Assert.Equal(["/src/vm0.vhdx", "/src/vm1.vhdx"], host.Folders.Images);
        Assert.DoesNotContain("/dst/a", host.Folders.Folders);
        Assert.NotNull(job.Problem);
        Assert.DoesNotContain(job.Steps, step => step.State is "done" or "running" or "failed");
        await AssertServedAsync(host, running, "/src", 1);
    }

    private static async Task AssertServedAsync(FakeHost host, bool running, string folder, long generation)
    {
        var vm = host.Parts.Vms.Get("vm");
        var worker = host.Workers.Find(vm.Id);
        Assert.Equal(running, worker?.Running ?? false);
        Assert.Equal(running ? VirtualMachineState.Running : VirtualMachineState.Off, host.Runtime[vm.Id]);
        Assert.Equal(running ? ["start"] : [], host.Runtime.Trace.ToArray());
        Assert.All(vm.Disks, disk => Assert.Equal(folder, Path.GetDirectoryName(disk.Path)));
        Assert.All(worker?.Disks ?? [], disk => Assert.Null(disk.Mirror));
        Assert.All(worker?.Disks ?? [], disk => Assert.Equal(folder, Path.GetDirectoryName(disk.Path)));
        var record = await host.Parts.Ownership.ReadAsync(vm.Id, TestContext.Current.CancellationToken);
        Assert.Equal(new OwnershipRecord(vm.Id, host.Parts.HostId, generation, OwnershipPhase.Settled), record);
        Assert.Null(host.Jobs.ActiveJob(vm.Id));
    }
}
