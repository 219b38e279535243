using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;
using Godwit.Api.Workers;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints;

/// <summary>What is asked of a checkpoint.</summary>
/// <param name="Vm">The VM.</param>
/// <param name="Id">The checkpoint's id.</param>
/// <param name="Name">Its name.</param>
/// <param name="Type">What it is to keep, as far as that can be.</param>
/// <param name="Disks">The VM's disks as they are beforehand.</param>
/// <param name="Layers">The images that go on top of them.</param>
internal sealed record CheckpointOrder(
    Guid Vm, Guid Id, string Name, CheckpointType Type, IReadOnlyList<Disk> Disks, IReadOnlyList<NewLayer> Layers);

/// <summary>What is asked of an applying.</summary>
/// <param name="Vm">The VM.</param>
/// <param name="Checkpoint">The checkpoint.</param>
/// <param name="Force">Turn the VM off first.</param>
/// <param name="Disks">The VM's disks as they will be: new images over those of the checkpoint.</param>
/// <param name="Left">Files that nobody needs afterwards: the images and the saved state of the VM as it was.</param>
internal sealed record ApplyOrder(Guid Vm, Guid Checkpoint, bool Force, IReadOnlyList<Disk> Disks, IReadOnlyList<string> Left);

/// <summary>What is asked of a merging: everything that can be.</summary>
/// <param name="Vm">The VM.</param>
internal sealed record MergeOrder(Guid Vm);
