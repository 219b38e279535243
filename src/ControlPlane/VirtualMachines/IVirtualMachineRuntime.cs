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

    /// <summary>Stops the vCPUs; they stay stopped until <see cref="ResumeAsync"/>.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/> when there is no QEMU; <see cref="ErrorCode.Unavailable"/> when it
    /// does not answer.</exception>
    Task PauseAsync(VirtualMachineRecord vm, CancellationToken cancellationToken);

    /// <summary>Lets the vCPUs run; fine when they do.</summary>
    /// <exception cref="GodwitException">As for <see cref="PauseAsync"/>.</exception>
    Task ResumeAsync(VirtualMachineRecord vm, CancellationToken cancellationToken);

    /// <summary>Presses the reset button.</summary>
    /// <exception cref="GodwitException">As for <see cref="PauseAsync"/>.</exception>
    Task ResetAsync(VirtualMachineRecord vm, CancellationToken cancellationToken);

    /// <summary>Stops the vCPUs and starts to write memory and devices into a file; goes on with one that was begun. Returns at once.</summary>
    /// <returns>What the file will fit.</returns>
    /// <exception cref="GodwitException">As for <see cref="PauseAsync"/>.</exception>
    Task<MachineModel> BeginSaveAsync(VirtualMachineRecord vm, string file, CancellationToken cancellationToken);

    /// <summary>How far the saving is.</summary>
    /// <exception cref="GodwitException">As for <see cref="PauseAsync"/>.</exception>
    Task<SaveProgress> QuerySaveAsync(VirtualMachineRecord vm, CancellationToken cancellationToken);

    /// <summary>Gives a saving up; returns when QEMU writes no more, which may last as long as the saving. The vCPUs stay stopped. Fine when there is none, or no QEMU.</summary>
    Task CancelSaveAsync(VirtualMachineRecord vm, CancellationToken cancellationToken);

    /// <summary>Starts QEMU from a saved state; its disks must be served. Returns when everything is loaded: the vCPUs are stopped, and no disk
    /// was written to.</summary>
    /// <exception cref="GodwitException">The state cannot be loaded; nothing of QEMU is left.</exception>
    Task RestoreAsync(VirtualMachineRecord vm, SavedStateRecord saved, CancellationToken cancellationToken);

    /// <summary>Asks the guest to shut down and waits until QEMU is gone. It is not turned off when the limit passes.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unavailable"/> when it did not shut down in time.</exception>
    Task ShutDownAsync(VirtualMachineRecord vm, TimeSpan limit, CancellationToken cancellationToken);

    /// <summary>Ends QEMU and returns when it is gone.</summary>
    Task TurnOffAsync(VirtualMachineRecord vm, CancellationToken cancellationToken);

    /// <summary>Variables for the UEFI firmware of a new VM.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unsupported"/>: the firmware is not installed.</exception>
    ReadOnlyMemory<byte> NewFirmwareVariables();

    /// <summary>Makes what is in the DVD drives of a running VM what the record says.</summary>
    /// <exception cref="GodwitException">As for <see cref="PauseAsync"/>; or an image cannot be opened, and its drive is as it was.</exception>
    Task SetDvdMediaAsync(VirtualMachineRecord vm, CancellationToken cancellationToken);

    /// <summary>Removes what is kept for the VM besides its disks.</summary>
    Task ForgetAsync(Guid vm, CancellationToken cancellationToken);
}

/// <summary>What a saved state needs to be loaded into.</summary>
/// <param name="Machine">QEMU's machine, with its version.</param>
/// <param name="Cpu">The processor model.</param>
/// <param name="Accelerator">"kvm" or "tcg": what ran the guest.</param>
public sealed record MachineModel(string Machine, string Cpu, string Accelerator);

/// <summary>How far a saving is.</summary>
/// <param name="IsDone">Everything is written, and QEMU has given its guest away.</param>
/// <param name="Problem">Why it failed; null unless it did.</param>
/// <param name="Done">Bytes of guest memory that are through.</param>
/// <param name="Total">Bytes of guest memory.</param>
public sealed record SaveProgress(bool IsDone, string? Problem, long Done, long Total);

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
