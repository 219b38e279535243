using System.Text.Json.Serialization;
using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines.Checkpoints;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>A VM as defined and stored. What it is doing is observed, never stored.</summary>
/// <param name="Id">Never changes and is never used again.</param>
/// <param name="Name">Unique on the host, whatever its case.</param>
/// <param name="Settings">What a user has set.</param>
/// <param name="Disks">Disks in the order the guest sees them.</param>
/// <param name="Path">Folder of its configuration and saved state.</param>
/// <param name="Generation">1: firmware is a BIOS; 2: firmware is UEFI. Never changes.</param>
/// <param name="DvdDrives">Its DVD drives; null for none.</param>
/// <param name="ScsiControllers">How many SCSI controllers it has; none in a VM of a godwitd that knew of none.</param>
public sealed record VirtualMachineRecord(
    Guid Id,
    string Name,
    VirtualMachineSettings Settings,
    IReadOnlyList<Disk> Disks,
    string Path,
    int Generation = 1,
    IReadOnlyList<DvdDrive>? DvdDrives = null,
    int ScsiControllers = 0)
{
    /// <summary>Grows by one with every change: of the file and the index the one with the higher revision is right.</summary>
    public long Revision { get; init; }

    /// <summary>It was started and has not ended since: what a host that was cut off starts again.</summary>
    public bool Powered { get; init; }

    /// <summary>When it is to be started, since the host has started; null when it is not.</summary>
    public DateTimeOffset? StartDue { get; init; }

    /// <summary>Since when it waits for a disk; null when it does not.</summary>
    public DateTimeOffset? CriticalSince { get; init; }

    /// <summary>Memory and devices in a file; the disks must not be written to while it is to be used.</summary>
    public SavedStateRecord? Saved { get; init; }

    /// <summary>Its checkpoints, also removed ones that are not merged yet; null for none.</summary>
    public IReadOnlyList<CheckpointRecord>? Checkpoints { get; init; }

    /// <summary>The checkpoint, possibly a removed one, that the VM as it is now began from.</summary>
    public Guid? CurrentCheckpoint { get; init; }

    /// <summary>Grows when the disks become other images while no worker serves them: the next worker starts from this record then.</summary>
    public long DiskGeneration { get; init; }

    /// <summary>Every image that belongs to it: those of its checkpoints too.</summary>
    internal IEnumerable<string> Images => Disks.Concat((Checkpoints ?? []).SelectMany(one => one.Disks)).Select(disk => disk.Path).Distinct(StringComparer.Ordinal);

    /// <summary>It is saved: it can go on from its file, and nothing may change its disks.</summary>
    internal bool IsSaved => Saved is { Used: false };

    /// <summary>What of it is kept in the file: what comes and goes by itself is in the index only, so that a share that is away keeps no VM from
    /// being started or looked after.</summary>
    internal VirtualMachineRecord Lasting => this with { Powered = false, StartDue = null, CriticalSince = null };

    /// <summary>The file this record is kept in, beside the VM.</summary>
    internal string ConfigurationFile => ConfigurationFiles.Of(Path, Id);

    /// <summary>The file its UEFI firmware keeps variables in; null when its firmware is a BIOS.</summary>
    [JsonIgnore]
    public string? FirmwareVariables => Generation == 2 ? ConfigurationFiles.FirmwareVariablesOf(Path, Id) : null;

    /// <summary>Names of its disks and DVD drives.</summary>
    internal IEnumerable<string> Drives => Disks.Select(disk => disk.Name).Concat((DvdDrives ?? []).Select(drive => drive.Name));
}

/// <summary>A saved state as stored.</summary>
/// <param name="File">The file.</param>
/// <param name="Saved">When it was saved.</param>
/// <param name="WasRunning">Its processors ran: they run again when it is restored.</param>
/// <param name="Model">What it fits.</param>
/// <param name="Memory">Guest memory in bytes: QEMU loads another size without a word.</param>
/// <param name="Cpus">Virtual processors.</param>
/// <param name="Used">The VM goes on from it, or it was discarded: never to be loaded again, and its file is to go.</param>
public sealed record SavedStateRecord(string File, DateTimeOffset Saved, bool WasRunning, MachineModel Model, long Memory, int Cpus, bool Used = false);
