using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Jobs;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>Creating and removing VMs, disturbed at every step in every way: there is the VM with its files, or nothing of it.</summary>
public sealed class LifeScenarioTests
{
    private static readonly string[] CreateSteps =
        ["Create disk0", "Create disk1", "Put disk0 in its place", "Put disk1 in its place", "Record the VM"];

    private static readonly string[] RemoveSteps = ["End its processes", "Remove its record", "Remove its files"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string, bool> EveryCreateStep() => Rows(CreateSteps);

    public static TheoryData<string, bool> EveryRemoveStep() => Rows(RemoveSteps);

    [Fact(Timeout = 20_000)]
    public async Task An_undisturbed_creation_runs_every_step_once()
    {
        await using var host = new FakeHost();
        await host.Life.CreateAsync(Spec(), Token);
        Assert.Equal(CreateSteps, host.Faults.Trace);
        await AssertCreatedAsync(host);
    }

    [Theory(Timeout = 20_000), MemberData(nameof(EveryCreateStep))]
    public async Task A_step_of_a_creation_fails(string step, bool acted)
    {
        await using var host = new FakeHost();
        host.Faults.At = Once(step, acted, () => throw new GodwitException(ErrorCode.IoFailed, "injected"));
        var committed = acted && step == CreateSteps[^1];
        if (committed)
        {
            // The VM is there: the step is repeated, after a pause.
            var creating = host.Life.CreateAsync(Spec(), Token);
            await host.UntilAsync(() => creating.IsCompleted);
            await creating;
            await AssertCreatedAsync(host);
            return;
        }
        Assert.Equal("injected", (await Assert.ThrowsAsync<GodwitException>(() => host.Life.CreateAsync(Spec(), Token))).Problem.Title);
        await AssertNothingAsync(host);
    }

    [Theory(Timeout = 20_000), MemberData(nameof(EveryCreateStep))]
    public async Task The_daemon_is_killed_at_a_step_of_a_creation(string step, bool acted)
    {
        await using var host = new FakeHost();
        host.Faults.At = Once(step, acted, () => host.Faults.KillAsync());
        var creating = host.Life.CreateAsync(Spec(), Token);
        await EndAsync(host);
        Assert.False(creating.IsCompleted);
        await AssertCreatedAsync(host);
    }

    [Theory(Timeout = 20_000), MemberData(nameof(EveryCreateStep))]
    public async Task The_daemon_is_killed_while_a_failed_creation_is_taken_back(string step, bool acted)
    {
        await using var host = new FakeHost();
        var killed = 0;
        host.Faults.At = (told, done) => told switch
        {
            { IsUndo: false, Step: "Record the VM" } when !done => throw new GodwitException(ErrorCode.IoFailed, "injected"),
            { IsUndo: true } when told.Step == step && done == acted && killed++ < 2 => host.Faults.KillAsync(),
            _ => Task.CompletedTask,
        };
        var creating = host.Life.CreateAsync(Spec(), Token);
        await EndAsync(host);
        Assert.True(killed >= 2, "it was not killed");
        Assert.False(creating.IsCompleted);
        await AssertNothingAsync(host);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_file_that_appears_meanwhile_is_left_alone_and_fails_the_creation()
    {
        await using var host = new FakeHost();
        host.Faults.At = Once("Create disk1", true, () =>
        {
            host.Folders.AddFile("/src/b.vhdx");
            return Task.CompletedTask;
        });
        var e = await Assert.ThrowsAsync<GodwitException>(() => host.Life.CreateAsync(Spec(), Token));
        Assert.Equal(ErrorCode.AlreadyExists, e.Problem.Code);
        Assert.Equal(["/src/b.vhdx"], host.Folders.Files);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_creation_that_is_given_up_leaves_nothing()
    {
        await using var host = new FakeHost();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        host.Faults.At = Once("Create disk1", true, () => stop.CancelAsync());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => host.Life.CreateAsync(Spec(), stop.Token));
        await AssertNothingAsync(host);
    }

    [Theory(Timeout = 20_000), MemberData(nameof(EveryRemoveStep))]
    public async Task A_step_of_a_removal_fails(string step, bool acted)
    {
        await using var host = new FakeHost();
        await host.Life.CreateAsync(Spec(), Token);
        await host.Operations.StartAsync("vm", Token);
        host.Faults.At = Once(step, acted, () => throw new GodwitException(ErrorCode.IoFailed, "injected"));
        var removing = host.Life.RemoveAsync("vm", deleteDisks: true, force: true, Token);
        await host.UntilAsync(() => removing.IsCompleted);
        var past = Array.IndexOf(RemoveSteps, step) > 1 || (step == RemoveSteps[1] && acted);
        if (past)
        {
            await removing;
            await AssertNothingAsync(host);
            return;
        }
        Assert.Equal("injected", (await Assert.ThrowsAsync<GodwitException>(() => removing)).Problem.Title);
        await AssertCreatedAsync(host);
    }

    [Theory(Timeout = 20_000), MemberData(nameof(EveryRemoveStep))]
    public async Task The_daemon_is_killed_at_a_step_of_a_removal(string step, bool acted)
    {
        await using var host = new FakeHost();
        await host.Life.CreateAsync(Spec(), Token);
        await host.Operations.StartAsync("vm", Token);
        host.Faults.At = Once(step, acted, () => host.Faults.KillAsync());
        var removing = host.Life.RemoveAsync("vm", deleteDisks: true, force: true, Token);
        await EndAsync(host);
        Assert.False(removing.IsCompleted);
        await AssertNothingAsync(host);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_VM_that_is_started_before_its_record_is_gone_stays()
    {
        await using var host = new FakeHost();
        await host.Life.CreateAsync(Spec(), Token);
        host.Faults.At = Once(RemoveSteps[0], true, () => host.Operations.StartAsync("vm", Token));
        var e = await Assert.ThrowsAsync<GodwitException>(() => host.Life.RemoveAsync("vm", deleteDisks: true, force: false, Token));
        Assert.Equal(ErrorCode.WrongState, e.Problem.Code);
        await AssertCreatedAsync(host);
    }

    private static VirtualMachineSpec Spec() => new(
        "vm", new VirtualMachineSettings(), [new DiskSpec("/src/a.vhdx", 1 << 30), new DiskSpec("/src/b.vhdx", 1 << 30)]);

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

    /// <summary>Waits until every job has ended; a daemon that was killed is started again.</summary>
    private static async Task EndAsync(FakeHost host)
    {
        do
        {
            await host.UntilAsync(() => host.Faults.Killed || host.Jobs.List() is [.., { HasEnded: true }]);
            if (!host.Faults.Killed)
                return;
            host.Faults.Killed = false;
            await host.KillAndStartDaemonAsync();
        }
        while (true);
    }

    private static async Task AssertCreatedAsync(FakeHost host)
    {
        var vm = host.Parts.Vms.Get("vm");
        Assert.Equal(["/src/a.vhdx", "/src/b.vhdx", $"/vms/vm/Virtual Machines/{vm.Id:D}.json"], host.Folders.Files);
        Assert.Equal(1, (await host.Parts.Ownership.ReadAsync(vm.Id, Token))!.Generation);
        Assert.Null(host.Parts.Vms.Follow(vm.Id));
    }

    private static Task AssertNothingAsync(FakeHost host)
    {
        Assert.Empty(host.Folders.Files);
        Assert.Empty(host.Parts.Vms.List());
        var created = host.Jobs.List()[0];
        Assert.NotEqual(JobState.Running, created.State);
        Assert.Empty(host.Database.Query("SELECT vm FROM ownership", row => row.GetString(0)));
        return Task.CompletedTask;
    }
}
