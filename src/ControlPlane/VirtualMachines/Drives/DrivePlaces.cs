using System.Diagnostics.CodeAnalysis;
using Godwit.Api;
using Godwit.Api.Disks;

namespace Godwit.ControlPlane.VirtualMachines.Drives;

/// <summary>Gives drives their places and keeps the rules: one drive in one place, no IDE in generation 2, no DVD drive on virtio.</summary>
/// <param name="generation">The VM's.</param>
internal sealed class DrivePlaces(int generation)
{
    /// <summary>Drives of all kinds that a VM can have.</summary>
    public const int MaximumDrives = 64;

    private readonly HashSet<DrivePlace> _taken = [];

    /// <summary>SCSI controllers that the drives so far need; one at least, for drives to come.</summary>
    public int ScsiControllers => _taken.Where(place => place.Type == ControllerType.Scsi).Select(place => place.Number + 1).Append(1).Max();

    /// <summary>Whether a place has a drive.</summary>
    public bool Contains(DrivePlace place) => _taken.Contains(place);

    /// <summary>Gives the drives of a VM that exists their places.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>: the rules are broken.</exception>
    public static DrivePlaces Of(VirtualMachineRecord vm)
    {
        var places = new DrivePlaces(vm.Generation);
        var turn = 0;
        foreach (var disk in vm.Disks)
        {
            Require(disk.ControllerType is not null || (disk.ControllerNumber ?? disk.ControllerLocation) is null, $"{disk.Name} has no kind of controller.");
            var place = DrivePlace.Of(disk, turn);
            turn += place.Type == ControllerType.Virtio ? 1 : 0;
            places.Take(place, forDisk: true);
        }
        foreach (var drive in vm.DvdDrives ?? [])
        {
            places.Take(DrivePlace.Of(drive), forDisk: false);
        }
        Require(vm.ScsiControllers is >= 0 and <= DrivePlace.ScsiControllers, $"There are {vm.ScsiControllers} SCSI controllers; there can be 0 to 4.");
        Require(places._taken.All(place => place.Type != ControllerType.Scsi || place.Number < vm.ScsiControllers), "A drive's SCSI controller is not there.");
        return places;
    }

    /// <summary>A place for a disk.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>: there is no such place, or none is free;
    /// <see cref="ErrorCode.AlreadyExists"/>: it is taken.</exception>
    public DrivePlace PlaceDisk(DiskSpec disk) => Place(
        disk.ControllerType ?? (generation == 2 ? ControllerType.Scsi : ControllerType.Virtio), disk.ControllerNumber, disk.ControllerLocation, forDisk: true);

    /// <summary>A place for a DVD drive.</summary>
    /// <exception cref="GodwitException">As for a disk.</exception>
    public DrivePlace PlaceDvd(DvdDriveSpec drive)
    {
        var ide = generation == 1 && Free(ControllerType.Ide, drive.ControllerNumber, drive.ControllerLocation) is not null;
        return Place(drive.ControllerType ?? (ide ? ControllerType.Ide : ControllerType.Scsi), drive.ControllerNumber, drive.ControllerLocation, forDisk: false);
    }

    private DrivePlace Place(ControllerType type, int? number, int? location, bool forDisk)
    {
        Require(Enum.IsDefined(type), "A drive's kind of controller is unknown.");
        if (number is int one && location is int at)
        {
            return Take(new DrivePlace(type, one, at), forDisk);
        }
        Require(number is null || number >= 0 && number < DrivePlace.Controllers(type), $"There is no {Word(type)} controller {number}.");
        Require(location is null || location >= 0 && location < DrivePlace.Locations(type), $"There is no location {location} on {Word(type)}.");
        return Take(
            Free(type, number, location) ?? throw new GodwitException(ErrorCode.InvalidRequest, $"No place on {Word(type)} is free.", "Choose another controller."),
            forDisk);
    }

    private DrivePlace Take(DrivePlace place, bool forDisk)
    {
        Require(Enum.IsDefined(place.Type), "A drive's kind of controller is unknown.");
        Require(generation == 1 || place.Type != ControllerType.Ide, "A VM of generation 2 has no IDE: use SCSI.");
        Require(forDisk || place.Type != ControllerType.Virtio, "A DVD drive is on IDE or SCSI, not on virtio.");
        Require(
            place.Number >= 0 && place.Number < DrivePlace.Controllers(place.Type) && place.Location >= 0 && place.Location < DrivePlace.Locations(place.Type),
            $"There is no place {place}.");
        Require(_taken.Count < MaximumDrives, $"A VM can have {MaximumDrives} drives.");
        return _taken.Add(place) ? place : throw new GodwitException(
            ErrorCode.AlreadyExists, $"There is a drive at {place} already.", "Leave number and location out to get the next free place.");
    }

    private DrivePlace? Free(ControllerType type, int? number, int? location)
    {
        foreach (var one in number is int n ? [n] : Enumerable.Range(0, DrivePlace.Controllers(type)))
        {
            foreach (var at in location is int l ? [l] : Enumerable.Range(0, DrivePlace.Locations(type)))
            {
                if (!Contains(new DrivePlace(type, one, at)))
                {
                    return new DrivePlace(type, one, at);
                }
            }
        }
        return null;
    }

    private static string Word(ControllerType type) => type.ToString().ToUpperInvariant();

    private static void Require([DoesNotReturnIf(false)] bool kept, string otherwise)
    {
        if (!kept)
        {
            throw new GodwitException(ErrorCode.InvalidRequest, otherwise);
        }
    }
}
