using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.ControlPlane.VirtualMachines;
using Godwit.ControlPlane.VirtualMachines.Drives;
using Godwit.Host.Files;
using Godwit.Qemu.Launch;
using Godwit.Qemu.Processes;

namespace Godwit.Host.VirtualMachines;

/// <summary>Firmware, disks and DVD drives.</summary>
internal sealed partial class QemuRuntime
{
    public ReadOnlyMemory<byte> NewFirmwareVariables()
    {
        try
        {
            return Firmware().NewVariables();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new GodwitException(new Problem(ErrorCode.IoFailed, $"The UEFI firmware cannot be read: {e.Message}"), e);
        }
    }

    public Task SetDvdMediaAsync(VirtualMachineRecord vm, CancellationToken cancellationToken) => CommandAsync(
        vm,
        async qemu =>
        {
            foreach (var drive in vm.DvdDrives ?? [])
            {
                await DvdMedia.SetAsync(qemu, drive.Name, drive.Path, cancellationToken);
            }
        },
        cancellationToken);

    private UefiFirmware Firmware() => UefiFirmware.Find(firmware) ?? throw new GodwitException(
        ErrorCode.Unsupported, $"The UEFI firmware for VMs of generation 2 is not in '{firmware}'.",
        "Install the package ovmf, or start godwitd with --firmware.");

    /// <summary>What the VM's firmware is in. Variables that are lost are made anew: a guest that boots from the usual place of its disk needs none.</summary>
    private QemuFirmware? FirmwareOf(VirtualMachineRecord vm)
    {
        if (vm.FirmwareVariables is not { } file)
        {
            return null;
        }
        var installed = Firmware();
        var there = new FileInfo(file);
        if (!there.Exists && there.LinkTarget is null)
        {
            DurableFile.Write(file, NewFirmwareVariables());
        }
        else if (there.LinkTarget is not null || there.Length != new FileInfo(installed.Template).Length)
        {
            // QEMU writes to it: never through a link that somebody has put there.
            throw new GodwitException(
                ErrorCode.Corrupt, $"'{file}' is not what UEFI firmware keeps its variables in.",
                "Restore it from a backup, or remove it: the firmware then begins with none.");
        }
        return new QemuFirmware(installed.Code, file);
    }

    private IReadOnlyList<QemuDisk> DisksOf(VirtualMachineRecord vm)
    {
        var socket = Path.Combine(folders.RunOf(vm.Id), "nbd.sock");
        return
        [
            .. vm.Disks.Select((disk, turn) => new QemuDisk(disk.Name, socket, disk.Name)
            {
                Serial = disk.Name,
                WriteCache = disk.Cache != DiskCache.Writethrough,
                Place = PlaceOf(DrivePlace.Of(disk, turn)),
            }),
        ];
    }

    private static IReadOnlyList<QemuDvd> DvdsOf(VirtualMachineRecord vm)
    {
        foreach (var path in (vm.DvdDrives ?? []).Select(drive => drive.Path).OfType<string>().Where(path => !File.Exists(path)))
        {
            throw new GodwitException(
                ErrorCode.NotFound, $"There is no file '{path}', which is in a DVD drive of VM '{vm.Name}'.", "Bring it back, or take it out: 'godwit vm dvd NAME --eject'.");
        }
        return [.. (vm.DvdDrives ?? []).Select(drive => new QemuDvd(drive.Name, PlaceOf(DrivePlace.Of(drive)), drive.Path))];
    }

    private static QemuPlace PlaceOf(DrivePlace place) => place.Type switch
    {
        ControllerType.Ide => new QemuPlace(QemuBus.Ide, place.Number, place.Location),
        ControllerType.Scsi => new QemuPlace(QemuBus.Scsi, place.Number, place.Location),
        _ => default,
    };
}
