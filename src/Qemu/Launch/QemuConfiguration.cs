using Godwit.Qemu.Accelerators;

namespace Godwit.Qemu.Launch;

/// <summary>Everything that is needed to start a VM's QEMU.</summary>
/// <param name="Name">The VM's name, for people who look at the process list.</param>
/// <param name="Uuid">The VM's id; by it a running QEMU is recognized.</param>
/// <param name="Memory">Guest memory in bytes; a multiple of 1 MiB.</param>
/// <param name="Cpus">Virtual processors.</param>
/// <param name="Files">Sockets, pid file and log. Their folders exist; nobody else may write to them.</param>
public sealed record QemuConfiguration(string Name, Guid Uuid, long Memory, int Cpus, QemuFiles Files)
{
    /// <summary>Absolute path of the QEMU program.</summary>
    public string Binary { get; init; } = DefaultBinary;

    /// <summary>What runs the guest's code.</summary>
    public AcceleratorKind Accelerator { get; init; } = AcceleratorKind.Tcg;

    /// <summary>Kernel file for direct boot, or null to boot from a drive.</summary>
    public string? Kernel { get; init; }

    /// <summary>Initial RAM disk for direct boot.</summary>
    public string? Initrd { get; init; }

    /// <summary>Kernel command line for direct boot.</summary>
    public string? Append { get; init; }

    /// <summary>Disks in the order the guest sees them.</summary>
    public IReadOnlyList<QemuDisk> Disks { get; init; } = [];

    /// <summary>DVD drives.</summary>
    public IReadOnlyList<QemuDvd> Dvds { get; init; } = [];

    /// <summary>How many SCSI controllers there are, used or not.</summary>
    public int ScsiControllers { get; init; }

    /// <summary>Names of the drives to boot from first; the others come after them, disks before DVD drives.</summary>
    public IReadOnlyList<string> BootOrder { get; init; } = [];

    /// <summary>UEFI firmware; null for the BIOS that QEMU brings (SeaBIOS).</summary>
    public QemuFirmware? Firmware { get; init; }

    /// <summary>Network adapters in the order the guest sees them.</summary>
    public IReadOnlyList<QemuNetwork> Networks { get; init; } = [];

    /// <summary>File that receives everything the guest prints on its first serial port; appended to.</summary>
    public string? SerialLog { get; init; }

    /// <summary>QEMU's machine: a name with a version where memory is to be loaded that another QEMU has saved.</summary>
    public string Machine { get; init; } = DefaultMachine;

    /// <summary>The processor the guest sees; null for the best that the accelerator can give.</summary>
    public string? Cpu { get; init; }

    /// <summary>Wait for memory and devices before anything else; the vCPUs do not run then.</summary>
    public bool Incoming { get; init; }

    /// <summary>Do not run the vCPUs before they are told to.</summary>
    public bool StartPaused { get; init; }

    /// <summary>Let the kernel refuse QEMU what it never needs: starting programs, other users' rights, resource control.</summary>
    public bool Sandbox { get; init; } = true;

    /// <summary>How long QEMU may take until its monitor answers, the disks' <see cref="QemuDisk.OpenSeconds"/> included.</summary>
    public TimeSpan StartLimit { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The newest version of it that QEMU has.</summary>
    public const string DefaultMachine = "q35";

    /// <summary>Where Debian puts it.</summary>
    public const string DefaultBinary = "/usr/bin/qemu-system-x86_64";
}
