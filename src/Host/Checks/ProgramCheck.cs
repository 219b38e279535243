using Godwit.Api;
using Godwit.Api.Hosts;
using Godwit.ControlPlane.Checks;
using Godwit.Host.VirtualMachines;
using Godwit.Host.Workers;
using Godwit.Qemu;

namespace Godwit.Host.Checks;

/// <summary>Looks whether QEMU and the worker are there and run, and what runs guests.</summary>
internal sealed class ProgramCheck(HostFolders folders, DaemonOptions options, IAcceleratorChoice accelerators, TimeProvider time) : IHostCheck
{
    public async Task<IReadOnlyList<CheckFinding>> LookAsync(CancellationToken cancellationToken) =>
        [await QemuAsync(cancellationToken), await AcceleratorAsync(cancellationToken), await WorkerAsync(cancellationToken)];

    private async Task<CheckFinding> QemuAsync(CancellationToken cancellationToken)
    {
        try
        {
            var version = await QemuVersion.QueryAsync(options.Qemu, folders.Run, time, cancellationToken);
            return new CheckFinding("qemu", CheckSeverity.Good, $"QEMU {version} is '{options.Qemu}'.");
        }
        catch (QemuException e)
        {
            return new CheckFinding(
                "qemu", CheckSeverity.Error, $"QEMU cannot be used: {e.Message}",
                $"Install qemu-system-x86 {QemuVersion.Minimum} or newer (Debian 12: from backports), or start godwitd with --qemu.");
        }
    }

    private async Task<CheckFinding> AcceleratorAsync(CancellationToken cancellationToken)
    {
        var (accelerator, reason) = await accelerators.DescribeAsync(cancellationToken);
        return accelerator switch
        {
            "kvm" => new CheckFinding("kvm", CheckSeverity.Good, "KVM runs guests: it has run code here."),
            "tcg" => new CheckFinding(
                "kvm", CheckSeverity.Warning, $"Guests are emulated, many times slower than with KVM: {reason}",
                "Switch virtualization on in the firmware, load kvm_intel or kvm_amd, and let godwitd's user open /dev/kvm."),
            _ => new CheckFinding("kvm", CheckSeverity.Error, $"Nothing can run guests: {reason}", "Put QEMU right first."),
        };
    }

    private async Task<CheckFinding> WorkerAsync(CancellationToken cancellationToken)
    {
        try
        {
            var result = await new WorkerProgram(options.Worker, time).RunAsync(["help"], cancellationToken);
            return result.ExitCode == 0
                ? new CheckFinding("worker", CheckSeverity.Good, $"The disk worker '{options.Worker}' runs.")
                : Broken($"it ended with {result.ExitCode}: {result.Error.Trim()}");
        }
        catch (GodwitException e)
        {
            return Broken(e.Problem.Title);
        }
    }

    private CheckFinding Broken(string why) => new(
        "worker", CheckSeverity.Error, $"The disk worker '{options.Worker}' does not run: {why}", "Mend the installation, or start godwitd with --worker.");
}
