using Godwit.Api.Hosts;
using Godwit.ControlPlane.Checks;
using Godwit.ControlPlane.VirtualMachines;
using Godwit.Qemu.Launch;

namespace Godwit.Host.Checks;

/// <summary>Looks whether VMs of generation 2 can be started.</summary>
internal sealed class FirmwareCheck(DaemonOptions options, VirtualMachineParts parts) : IHostCheck
{
    public Task<IReadOnlyList<CheckFinding>> LookAsync(CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<CheckFinding>>([Look()]);

    private CheckFinding Look()
    {
        if (UefiFirmware.Find(options.Firmware) is { } found)
        {
            return new CheckFinding("firmware", CheckSeverity.Good, $"UEFI firmware for VMs of generation 2 is '{found.Code}'.");
        }
        var needed = parts.Vms.List().Any(vm => vm.Generation == 2);
        return new CheckFinding(
            "firmware", needed ? CheckSeverity.Error : CheckSeverity.Warning, $"VMs of generation 2 cannot be started: there is no UEFI firmware in '{options.Firmware}'.",
            "Install the package ovmf, or start godwitd with --firmware.");
    }
}
