using Godwit.Api.Disks;

namespace Godwit.Api;

/// <content>Disks of running VMs.</content>
public sealed partial class GodwitClient
{
    /// <summary>Limits how much a disk of a running VM may be used.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="disk">The disk.</param>
    /// <param name="limits">The limits; what is null is not limited.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>The limits that hold now.</returns>
    public Task<DiskLimitSpec> LimitDiskAsync(string name, string disk, DiskLimitSpec limits, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Put, DiskPath(name, disk) + "/limits", ToJson(limits, ApiJson.Default.DiskLimitSpec),
        ApiJson.Default.DiskLimitSpec, Quick, cancellationToken);

    /// <summary>The points since which the changes of a running VM's disk are marked, oldest first.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="disk">The disk.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<IReadOnlyList<DiskPoint>> ListPointsAsync(string name, string disk, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Get, DiskPath(name, disk) + "/points", null, ApiJson.Default.IReadOnlyListDiskPoint, Quick, cancellationToken);

    /// <summary>Starts a point: what changes from here on is marked.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="disk">The disk.</param>
    /// <param name="point">The point.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<DiskPoint> AddPointAsync(string name, string disk, DiskPointSpec point, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Post, DiskPath(name, disk) + "/points", ToJson(point, ApiJson.Default.DiskPointSpec), ApiJson.Default.DiskPoint, Slow, cancellationToken);

    /// <summary>Forgets a point.</summary>
    /// <param name="name">The VM.</param>
    /// <param name="disk">The disk.</param>
    /// <param name="point">What the point is called.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task RemovePointAsync(string name, string disk, string point, CancellationToken cancellationToken) =>
        SendForBytesAsync(HttpMethod.Delete, $"{DiskPath(name, disk)}/points/{Segment(point)}", null, Slow, cancellationToken);

    private static string DiskPath(string name, string disk) => $"{VmPath(name)}/disks/{Segment(disk)}";
}
