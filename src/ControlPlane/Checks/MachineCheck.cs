using Godwit.Api;
using Godwit.Api.Hosts;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.ControlPlane.Checks;

/// <summary>Looks at the VMs: those that wait for a disk, missing files, configuration files that do not say what the host knows.</summary>
/// <param name="parts">What VMs are made of.</param>
public sealed class MachineCheck(VirtualMachineParts parts) : IHostCheck
{
    private const string Id = "vm";

    /// <inheritdoc/>
    public async Task<IReadOnlyList<CheckFinding>> LookAsync(CancellationToken cancellationToken)
    {
        var vms = parts.Vms.List();
        var findings = new List<CheckFinding>();
        foreach (var vm in vms)
        {
            await StateAsync(vm, findings, cancellationToken).ConfigureAwait(false);
            Files(vm, findings);
            Configuration(vm, findings);
        }
        return findings.Count > 0 ? findings : [new CheckFinding(Id, CheckSeverity.Good, $"{vms.Count} VMs, nothing wrong with any.")];
    }

    private async Task StateAsync(VirtualMachineRecord vm, List<CheckFinding> findings, CancellationToken cancellationToken)
    {
        var status = await parts.Runtime.ObserveAsync(vm, cancellationToken).ConfigureAwait(false);
        if (status.State == VirtualMachineState.PausedCritical)
        {
            findings.Add(new CheckFinding(
                Id, CheckSeverity.Error, $"VM '{vm.Name}' waits for a disk since {vm.CriticalSince:u}: {status.Reason}",
                "Bring its storage back; it goes on by itself."));
        }
        else if (status.IsOff && status.Reason is { } reason)
        {
            findings.Add(new CheckFinding(Id, CheckSeverity.Warning, $"VM '{vm.Name}': {reason}", "Look at its process and its sockets."));
        }
    }

    private void Files(VirtualMachineRecord vm, List<CheckFinding> findings)
    {
        foreach (var disk in vm.Disks.Where(disk => !parts.Folders.FileExists(disk.Path)))
        {
            findings.Add(new CheckFinding(
                Id, CheckSeverity.Error, $"VM '{vm.Name}': the file of {disk.Name} is not there: '{disk.Path}'.",
                "Mount its file system, or put the file back."));
        }
        if (vm.Saved is { Used: false } saved && !parts.Folders.FileExists(saved.File))
        {
            findings.Add(new CheckFinding(
                Id, CheckSeverity.Error, $"VM '{vm.Name}': its saved state is not there: '{saved.File}'.",
                "Put it back, or let the VM boot anew: 'godwit vm discard-saved-state'."));
        }
    }

    private void Configuration(VirtualMachineRecord vm, List<CheckFinding> findings)
    {
        try
        {
            if (parts.Vms.Differs(vm))
            {
                findings.Add(new CheckFinding(
                    Id, CheckSeverity.Warning, $"VM '{vm.Name}': '{vm.ConfigurationFile}' does not say what the host knows.",
                    "godwitd puts it right when it is started again, or with the next change: 'godwit host rescan' shows what is different."));
            }
        }
        catch (GodwitException e)
        {
            findings.Add(new CheckFinding(Id, CheckSeverity.Warning, $"VM '{vm.Name}': {e.Problem.Title}", e.Problem.Remedy));
        }
    }
}
