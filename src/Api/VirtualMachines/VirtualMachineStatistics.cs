using Godwit.Api.Disks;

namespace Godwit.Api.VirtualMachines;

/// <summary>What the disks of a running VM have done.</summary>
/// <param name="Name">The VM.</param>
/// <param name="WorkerProcessId">The worker that counted; another one counts from zero.</param>
/// <param name="Disks">Its disks.</param>
public sealed record VirtualMachineStatistics(string Name, int WorkerProcessId, IReadOnlyList<VirtualMachineDiskStatistics> Disks);

/// <summary>One disk of a running VM.</summary>
/// <param name="Name">Name of the disk.</param>
/// <param name="Path">The file that serves it now.</param>
/// <param name="Connections">Connections of QEMU to it.</param>
/// <param name="Statistics">What it has done.</param>
/// <param name="Shortfall">It does not get the requests it was promised; null while it does, or wants less.</param>
public sealed record VirtualMachineDiskStatistics(
    string Name, string Path, int Connections, DiskStatistics Statistics, DiskShortfall? Shortfall = null);
