using Godwit.Api;
using Godwit.Api.VirtualMachines;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>The QEMU processes of VMs. Implemented by the host.</summary>
/// <remarks>Thread-safe. The state is always observed, never remembered, so that a restarted daemon finds what runs.
/// A VM that stopped on a disk error is let go on by the runtime itself as soon as the disk answers.</remarks>
public interface IVirtualMachineRuntime
{
    /// <summary>What the VM is doing; adopts a QEMU that a former daemon started. Never throws for a QEMU that is gone or mute.</summary>
    Task<RuntimeStatus> ObserveAsync(VirtualMachineRecord vm, CancellationToken cancellationToken);

    /// <summary>Starts QEMU; its disks must be served. Returns when the vCPUs run.</summary>
    /// <exception cref="GodwitException">QEMU did not start; nothing of it is left.</exception>
    Task StartAsync(VirtualMachineRecord vm, CancellationToken cancellationToken);

    /// <summary>Asks the guest to shut down and waits until QEMU is gone. It is not turned off when the limit passes.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unavailable"/> when it did not shut down in time.</exception>
    Task ShutDownAsync(VirtualMachineRecord vm, TimeSpan limit, CancellationToken cancellationToken);

    /// <summary>Ends QEMU and returns when it is gone.</summary>
    Task TurnOffAsync(VirtualMachineRecord vm, CancellationToken cancellationToken);

    /// <summary>Removes what is kept for the VM besides its disks.</summary>
    Task ForgetAsync(Guid vm, CancellationToken cancellationToken);
}

/// <summary>What a VM was doing when it was looked at.</summary>
/// <param name="State">Its state.</param>
/// <param name="Reason">Why it is in that state, when that needs saying.</param>
/// <param name="Accelerator">"kvm" or "tcg" while it runs.</param>
/// <param name="AcceleratorReason">Why TCG had to be taken, when it was.</param>
/// <param name="ProcessId">QEMU's process id while it runs.</param>
public sealed record RuntimeStatus(
    VirtualMachineState State,
    string? Reason = null,
    string? Accelerator = null,
    string? AcceleratorReason = null,
    int? ProcessId = null)
{
    /// <summary>There is no QEMU process.</summary>
    public bool IsOff => State == VirtualMachineState.Off;
}
