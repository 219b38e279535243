using Godwit.Api;
using Godwit.Api.Hosts;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Checks;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>What is wrong is found and told with what to do about it; what hangs or breaks keeps nothing else from being told.</summary>
public sealed class HostCheckTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = 20_000)]
    public async Task Where_nothing_is_wrong_that_is_said()
    {
        await using var host = new FakeHost();
        await host.AddVmAsync();
        Assert.Equal(CheckSeverity.Good, Assert.Single(await new MachineCheck(host.Parts).LookAsync(Token)).Severity);
        Assert.Equal(CheckSeverity.Good, Assert.Single(await new JobCheck(host.Jobs, host.Time).LookAsync(Token)).Severity);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_VM_that_waits_a_missing_disk_and_a_spoilt_configuration_are_found()
    {
        await using var host = new FakeHost();
        var vm = await host.AddVmAsync();
        host.Runtime[vm.Id] = VirtualMachineState.PausedCritical;
        await host.Reconciler.ReconcileAsync(Token);
        host.Folders.DeleteFile("/src/vm0.vhdx");
        host.Folders.Write(host.Folders.Files.Single(), "{"u8.ToArray());
        var findings = await new MachineCheck(host.Parts).LookAsync(Token);
        Assert.Equal([CheckSeverity.Error, CheckSeverity.Error, CheckSeverity.Warning], findings.Select(finding => finding.Severity));
        Assert.All(findings, finding => Assert.False(string.IsNullOrEmpty(finding.Remedy)));
        Assert.Contains("waits for a disk since 2026-01-02", findings[0].Title, StringComparison.Ordinal);
        Assert.Contains("/src/vm0.vhdx", findings[1].Title, StringComparison.Ordinal);
        Assert.Contains(".json", findings[2].Title, StringComparison.Ordinal);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_saved_state_that_is_gone_and_a_configuration_that_is_behind_are_found()
    {
        await using var host = new FakeHost();
        await host.AddVmAsync();
        await host.EndAsync((await host.Saved.SubmitAsync("vm", Token)).Id);
        host.Folders.DeleteFile(host.Parts.Vms.Get("vm").Saved!.File);
        host.Folders.AddFile("/src/other.vhdx");
        host.Folders.Unwritable = true;
        host.Parts.Vms.SetDiskPaths(host.Parts.Vms.Get("vm").Id, new Dictionary<string, string> { ["disk0"] = "/src/other.vhdx" });
        var findings = await new MachineCheck(host.Parts).LookAsync(Token);
        Assert.Equal([CheckSeverity.Error, CheckSeverity.Warning], findings.Select(finding => finding.Severity));
    }

    [Fact(Timeout = 20_000)]
    public async Task Jobs_that_failed_lately_are_told_and_old_ones_are_not()
    {
        await using var host = new FakeHost();
        host.Images.Broken = "/src/x.vhdx";
        var spec = new VirtualMachineSpec("x", new VirtualMachineSettings(), [new Godwit.Api.Disks.DiskSpec("/src/x.vhdx", 1 << 30)]);
        await Assert.ThrowsAsync<GodwitException>(() => host.Life.CreateAsync(spec, Token));
        var check = new JobCheck(host.Jobs, host.Time);
        var finding = Assert.Single(await check.LookAsync(Token));
        Assert.Equal(("job", CheckSeverity.Warning), (finding.Id, finding.Severity));
        Assert.Contains("no room", finding.Title, StringComparison.Ordinal);
        host.Time.Advance(TimeSpan.FromHours(25));
        Assert.Equal(CheckSeverity.Good, Assert.Single(await check.LookAsync(Token)).Severity);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_check_that_hangs_or_fails_is_told_beside_the_others()
    {
        await using var host = new FakeHost();
        using var stop = new CancellationTokenSource();
        var running = new HostChecks([new Hanging(stop.Token), new Failing(), new MachineCheck(host.Parts)], host.Time).RunAsync(Token);
        await host.UntilAsync(() => running.IsCompleted);
        var findings = await running;
        Assert.Equal(["check", "check", "vm"], findings.Select(finding => finding.Id));
        Assert.Contains("no answer within 20 s", findings[0].Title, StringComparison.Ordinal);
        Assert.Contains("broken", findings[1].Title, StringComparison.Ordinal);
        await stop.CancelAsync();
    }

    private sealed class Hanging(CancellationToken stop) : IHostCheck
    {
        public async Task<IReadOnlyList<CheckFinding>> LookAsync(CancellationToken cancellationToken)
        {
            await Task.Delay(Timeout.Infinite, stop);
            return [];
        }
    }

    private sealed class Failing : IHostCheck
    {
        public Task<IReadOnlyList<CheckFinding>> LookAsync(CancellationToken cancellationToken) =>
            throw new GodwitException(ErrorCode.IoFailed, "broken");
    }
}
