using Godwit.Api;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>What happens to VMs when the host comes up or goes down, and when a disk stays away.</summary>
public sealed class AutomaticActionTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory(Timeout = 20_000)]
    [InlineData(StartAction.Nothing, true, false)]
    [InlineData(StartAction.StartIfRunning, true, true)]
    [InlineData(StartAction.StartIfRunning, false, false)]
    [InlineData(StartAction.Start, false, true)]
    public async Task After_a_power_cut_a_VM_is_started_as_its_settings_say(StartAction action, bool ran, bool started)
    {
        await using var host = new FakeHost();
        await host.AddVmAsync(running: ran);
        await host.Changes.SetAsync("vm", new SettingsChange(AutomaticStartAction: action), Token);
        await host.RebootAsync();
        await host.Starts.StartDueAsync(Token);
        Assert.Equal(started ? VirtualMachineState.Running : VirtualMachineState.Off, await StateAsync(host));
        Assert.Null(host.Parts.Vms.Get("vm").StartDue);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_daemon_that_is_started_again_starts_nothing()
    {
        await using var host = new FakeHost();
        await host.AddVmAsync(running: false);
        await host.Changes.SetAsync("vm", new SettingsChange(AutomaticStartAction: StartAction.Start), Token);
        await host.KillAndStartDaemonAsync();
        await host.Starts.StartDueAsync(Token);
        Assert.Equal(VirtualMachineState.Off, await StateAsync(host));
    }

    [Fact(Timeout = 20_000)]
    public async Task The_delay_is_kept_by_a_daemon_that_is_killed_meanwhile()
    {
        await using var host = new FakeHost();
        await host.AddVmAsync();
        await host.Changes.SetAsync("vm", new SettingsChange(AutomaticStartDelay: 60), Token);
        await host.RebootAsync();
        host.Time.Advance(TimeSpan.FromSeconds(59));
        await host.KillAndStartDaemonAsync();
        await host.Starts.StartDueAsync(Token);
        Assert.Equal(VirtualMachineState.Off, await StateAsync(host));
        host.Time.Advance(TimeSpan.FromSeconds(1));
        await host.Starts.StartDueAsync(Token);
        Assert.Equal(VirtualMachineState.Running, await StateAsync(host));
    }

    [Fact(Timeout = 20_000)]
    public async Task What_cannot_be_started_yet_is_tried_again_and_given_up_in_the_end()
    {
        await using var host = new FakeHost();
        await host.AddVmAsync();
        await host.RebootAsync();
        host.Workers.CannotStart = true;
        for (var attempt = 0; attempt < 3; attempt++)
            await DueAsync(host);
        Assert.Equal(3, host.Told.Count(text => text.Contains("tried again", StringComparison.Ordinal)));
        host.Workers.CannotStart = false;
        await DueAsync(host);
        Assert.Equal(VirtualMachineState.Running, await StateAsync(host));

        await host.RebootAsync();
        host.Workers.CannotStart = true;
        for (var attempt = 0; attempt < 20; attempt++)
            await DueAsync(host);
        Assert.Single(host.Told, text => text.Contains("not tried again", StringComparison.Ordinal));
        Assert.Null(host.Parts.Vms.Get("vm").StartDue);
    }

    [Fact(Timeout = 20_000)]
    public async Task Who_starts_or_removes_a_VM_before_it_is_due_is_not_disturbed()
    {
        await using var host = new FakeHost();
        await host.AddVmAsync("a");
        await host.AddVmAsync("b");
        await host.RebootAsync();
        await host.Operations.StartAsync("a", Token);
        await host.Life.RemoveAsync("b", deleteDisks: false, force: false, Token);
        await host.Starts.StartDueAsync(Token);
        Assert.Equal(3, host.Runtime.Trace.Count(what => what == "start"));
    }

    [Theory(Timeout = 20_000)]
    [InlineData(StopAction.TurnOff, VirtualMachineState.Off, "turn off")]
    [InlineData(StopAction.ShutDown, VirtualMachineState.Off, "shutdown")]
    [InlineData(StopAction.Save, VirtualMachineState.Saved, "turn off")]
    public async Task When_the_host_goes_down_a_VM_is_stopped_as_its_settings_say_and_comes_back(
        StopAction action, VirtualMachineState state, string last)
    {
        await using var host = new FakeHost();
        await host.AddVmAsync();
        await host.AddVmAsync("off", running: false);
        await host.Changes.SetAsync("vm", new SettingsChange(AutomaticStopAction: action), Token);
        Assert.Equal([new StoppedVirtualMachine("vm", action)], await StopAllAsync(host));
        Assert.Equal(state, await StateAsync(host));
        Assert.Equal(last, host.Runtime.Trace.Last());
        await host.RebootAsync();
        await host.Starts.StartDueAsync(Token);
        Assert.Equal(VirtualMachineState.Running, await StateAsync(host));
        Assert.Equal(VirtualMachineState.Off, (await host.Operations.GetAsync("off", Token)).State);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(StopAction.ShutDown)]
    [InlineData(StopAction.Save)]
    public async Task A_VM_that_cannot_be_stopped_as_its_settings_say_is_turned_off_and_that_is_told(StopAction action)
    {
        await using var host = new FakeHost();
        await host.AddVmAsync();
        await host.Changes.SetAsync("vm", new SettingsChange(AutomaticStopAction: action), Token);
        host.Runtime.IgnoresShutdown = true;
        host.Runtime.SaveProblem = "Input/output error";
        var stopped = Assert.Single(await StopAllAsync(host));
        Assert.Equal(StopAction.TurnOff, stopped.Action);
        Assert.NotNull(stopped.Problem);
        Assert.Equal(VirtualMachineState.Off, await StateAsync(host));
        Assert.True(host.Parts.Vms.Get("vm").Powered);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_VM_that_does_not_end_is_told_and_keeps_no_other_from_being_stopped()
    {
        await using var host = new FakeHost();
        foreach (var name in (string[])["a", "b", "c", "d", "e", "f"])
        {
            await host.AddVmAsync(name);
            await host.Changes.SetAsync(name, new SettingsChange(AutomaticStopAction: name == "a" ? StopAction.TurnOff : StopAction.ShutDown), Token);
        }
        host.Runtime.TurnOffProblem = new Problem(ErrorCode.Unavailable, "a device of the host hangs");
        var stopped = await StopAllAsync(host);
        Assert.Equal(["a", "b", "c", "d", "e", "f"], stopped.Select(vm => vm.Name));
        Assert.Equal("a device of the host hangs", stopped[0].Problem?.Title);
        Assert.All(stopped.Skip(1), vm => Assert.Equal((StopAction.ShutDown, null), (vm.Action, vm.Problem)));
        Assert.Single(await host.Operations.ListAsync(Token), vm => vm.State != VirtualMachineState.Off);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(CriticalErrorAction.Pause, true)]
    [InlineData(CriticalErrorAction.None, false)]
    public async Task A_VM_whose_disk_stays_away_is_turned_off_after_its_timeout_or_waits(CriticalErrorAction action, bool turnedOff)
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        await host.Changes.SetAsync(
            "vm", new SettingsChange(AutomaticCriticalErrorAction: action, AutomaticCriticalErrorActionTimeout: 2), Token);
        host.Runtime[vm.Id] = VirtualMachineState.PausedCritical;
        await host.Reconciler.ReconcileAsync(Token);
        host.Time.Advance(TimeSpan.FromSeconds(119));
        // The time goes on while no daemon looks.
        await host.KillAndStartDaemonAsync();
        Assert.Equal(VirtualMachineState.PausedCritical, await StateAsync(host));
        host.Time.Advance(TimeSpan.FromSeconds(1));
        await host.Reconciler.ReconcileAsync(Token);
        Assert.Equal(turnedOff ? VirtualMachineState.Off : VirtualMachineState.PausedCritical, await StateAsync(host));
        Assert.Equal(!turnedOff, host.Parts.Vms.Get("vm").Powered);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_disk_that_comes_back_in_time_begins_the_time_anew()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        foreach (var state in (VirtualMachineState[])[VirtualMachineState.PausedCritical, VirtualMachineState.Running, VirtualMachineState.PausedCritical])
        {
            host.Runtime[vm.Id] = state;
            await host.Reconciler.ReconcileAsync(Token);
            host.Time.Advance(TimeSpan.FromMinutes(20));
        }
        await host.Reconciler.ReconcileAsync(Token);
        Assert.Equal(VirtualMachineState.PausedCritical, await StateAsync(host));
        host.Time.Advance(TimeSpan.FromMinutes(10));
        await host.Reconciler.ReconcileAsync(Token);
        Assert.Equal(VirtualMachineState.Off, await StateAsync(host));
    }

    private static async Task DueAsync(FakeHost host)
    {
        host.Time.Advance(AutomaticStart.Again);
        await host.Starts.StartDueAsync(Token);
    }

    private static async Task<IReadOnlyList<StoppedVirtualMachine>> StopAllAsync(FakeHost host)
    {
        var stopping = host.Stops.StopAllAsync(Token);
        await host.UntilAsync(() => stopping.IsCompleted);
        return await stopping;
    }

    private static async Task<VirtualMachineState> StateAsync(FakeHost host) => (await host.Operations.GetAsync("vm", Token)).State;
}
