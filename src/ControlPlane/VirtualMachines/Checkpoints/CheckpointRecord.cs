using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints;

/// <summary>A checkpoint as stored.</summary>
/// <param name="Id">Never changes and is never used again.</param>
/// <param name="Name">What people call it.</param>
/// <param name="Parent">The checkpoint before it, also a removed one; null for the first.</param>
/// <param name="Created">When it was taken.</param>
/// <param name="Type">What it keeps.</param>
/// <param name="Settings">The VM's settings then.</param>
/// <param name="Disks">The VM's disks then: images that nothing is written to any more.</param>
/// <param name="Saved">Its memory, or null.</param>
/// <param name="Removed">It is gone for users; its images are still beneath others and are to be merged.</param>
/// <param name="DvdDrives">Its DVD drives then, and what was in them; null for none.</param>
public sealed record CheckpointRecord(
    Guid Id,
    string Name,
    Guid? Parent,
    DateTimeOffset Created,
    CheckpointType Type,
    VirtualMachineSettings Settings,
    IReadOnlyList<Disk> Disks,
    SavedStateRecord? Saved = null,
    bool Removed = false,
    IReadOnlyList<DvdDrive>? DvdDrives = null)
{
    /// <summary>The image of a disk, or null when the VM had no such disk then.</summary>
    internal string? PathOf(string disk) => Disks.FirstOrDefault(one => one.Name == disk)?.Path;

    /// <summary>The same with another image for one disk.</summary>
    internal CheckpointRecord With(string disk, string path, DiskFormat format) => this with
    {
        Disks = [.. Disks.Select(one => one.Name == disk ? one with { Path = path, Format = format } : one)],
    };
}
