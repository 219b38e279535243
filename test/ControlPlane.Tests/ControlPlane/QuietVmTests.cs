using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>VMs about which there was nothing to do cost nothing until something changes.</summary>
public sealed class QuietVmTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = 20_000)]
    public async Task A_VM_that_is_off_and_in_order_is_passed_over_until_everything_is_looked_at()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        host.Runtime[vm.Id] = VirtualMachineState.Off;
        for (var round = 0; round < 3; round++)
            await host.Reconciler.ReconcileAsync(everything: false, Token);
        Assert.False(host.Workers.Find(vm.Id)!.Running);

        // By hand, behind the daemon's back.
        host.Workers.Find(vm.Id)!.Running = true;
        await host.Reconciler.ReconcileAsync(everything: false, Token);
        Assert.True(host.Workers.Find(vm.Id)!.Running);
        await host.Reconciler.ReconcileAsync(everything: true, Token);
        Assert.False(host.Workers.Find(vm.Id)!.Running);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_VM_that_was_passed_over_is_looked_at_once_its_record_has_changed()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        host.Runtime[vm.Id] = VirtualMachineState.Off;
        for (var round = 0; round < 3; round++)
            await host.Reconciler.ReconcileAsync(everything: false, Token);
        host.Runtime[vm.Id] = VirtualMachineState.Running;
        host.Parts.Vms.Note(vm.Id, now => now with { Powered = true });
        await host.Reconciler.ReconcileAsync(everything: false, Token);
        Assert.True(host.Workers.Find(vm.Id)!.Running);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_running_VM_is_watched_every_round_and_its_worker_is_asked_only_when_something_may_be_new()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        var asked = 0;
        host.Workers.Around = (request, _) =>
        {
            asked += request is GetStatus ? 1 : 0;
            return Task.CompletedTask;
        };
        for (var round = 0; round < 3; round++)
            await host.Reconciler.ReconcileAsync(everything: false, Token);
        var before = asked;
        for (var round = 0; round < 5; round++)
            await host.Reconciler.ReconcileAsync(everything: false, Token);
        Assert.Equal(before, asked);
        host.Workers.Kill(vm.Id);
        await host.Reconciler.ReconcileAsync(everything: false, Token);
        Assert.True(host.Workers.Find(vm.Id)!.Running);
        await host.Reconciler.ReconcileAsync(everything: true, Token);
        Assert.True(asked > before);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_record_that_has_not_changed_is_the_same_object_and_one_that_has_is_not()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        var first = host.Parts.Vms.List()[0];
        Assert.Same(first, host.Parts.Vms.List()[0]);
        Assert.Same(first, host.Parts.Vms.Find(vm.Id));
        for (var change = 0; change < 200; change++)
        {
            host.Parts.Vms.Change(vm.Id, now => now with { Settings = now.Settings with { Notes = $"note {change}" } });
            Assert.Equal($"note {change}", host.Parts.Vms.List()[0].Settings.Notes);
        }
    }
}
