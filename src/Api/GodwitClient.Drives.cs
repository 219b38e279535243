using Godwit.Api.Disks;
using Godwit.Api.VirtualMachines;

namespace Godwit.Api;

/// <summary>Drives of a VM.</summary>
public sealed partial class GodwitClient
{
    /// <summary>Puts a disc into a DVD drive of a VM, running or off, or takes it out.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="drive">The drive.</param>
    /// <param name="medium">What is to be in it; its path absolute.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<VirtualMachine> SetDvdMediumAsync(string name, string drive, DvdMedium medium, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Put, $"{VmPath(name)}/dvd-drives/{Segment(drive)}", ToJson(medium, ApiJson.Default.DvdMedium),
        ApiJson.Default.VirtualMachine, Slow, cancellationToken);
}
