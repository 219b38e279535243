namespace Godwit.Api.VirtualMachines;

/// <summary>Everything a user may set on a VM, apart from its name and its disks.</summary>
/// <param name="Memory">Guest memory in bytes; a multiple of 1 MiB, at least 16 MiB.</param>
/// <param name="Cpus">Virtual processors, 1 to 255.</param>
/// <param name="CompatibilityForMigration">Show the guest only what every host of the last ten years has, so that a running or saved VM can go
/// to another one.</param>
/// <param name="Kernel">Kernel file for direct boot, or null to boot from the first disk.</param>
/// <param name="Initrd">Initial RAM disk for direct boot.</param>
/// <param name="Append">Kernel command line for direct boot.</param>
/// <param name="Serial">File that receives everything the guest prints on its first serial port.</param>
/// <param name="Networks">Its network adapters, in the order the guest sees them; none when null.</param>
/// <param name="AutomaticStartAction">What to do with the VM when the host has started. May always be changed.</param>
/// <param name="AutomaticStartDelay">How many seconds to wait before that. May always be changed.</param>
/// <param name="AutomaticStopAction">What to do with the VM when the host shuts down. May always be changed.</param>
/// <param name="AutomaticCriticalErrorAction">What to do when a disk cannot be reached. May always be changed.</param>
/// <param name="AutomaticCriticalErrorActionTimeout">How many minutes a VM waits for its disk before it is turned off. May always be changed.</param>
/// <param name="Notes">Whatever people want to remember. May always be changed.</param>
/// <param name="CheckpointType">What a checkpoint keeps when nobody says. May always be changed.</param>
/// <param name="BootOrder">Names of the drives to boot from, first to last; the others come after them, disks before DVD drives.</param>
/// <remarks>Names and numbers of choices are those of Hyper-V's cmdlets. What may not always be changed needs a VM that is off. Defaults are
/// those of the parameters: generated serialization knows no others.</remarks>
public sealed record VirtualMachineSettings(
    long Memory = 512L << 20,
    int Cpus = 1,
    bool CompatibilityForMigration = false,
    string? Kernel = null,
    string? Initrd = null,
    string? Append = null,
    string? Serial = null,
    IReadOnlyList<NetworkAdapter>? Networks = null,
    StartAction AutomaticStartAction = StartAction.StartIfRunning,
    int AutomaticStartDelay = 0,
    StopAction AutomaticStopAction = StopAction.Save,
    CriticalErrorAction AutomaticCriticalErrorAction = CriticalErrorAction.Pause,
    int AutomaticCriticalErrorActionTimeout = 30,
    string? Notes = null,
    CheckpointType CheckpointType = CheckpointType.Production,
    IReadOnlyList<string>? BootOrder = null);
