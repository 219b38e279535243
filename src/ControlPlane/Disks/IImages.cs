using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;

namespace Godwit.ControlPlane.Disks;

/// <summary>Image files that no worker serves. Implemented by the host with the worker's program, because images are
/// untrusted and are never parsed in <c>godwitd</c>.</summary>
public interface IImages
{
    /// <summary>Says what an image is.</summary>
    /// <exception cref="GodwitException">The file is missing, in use or not an image.</exception>
    Task<ImageReport> DescribeAsync(string path, CancellationToken cancellationToken);

    /// <summary>Creates an image; nothing stays when it fails.</summary>
    /// <param name="path">Where, an absolute path; must not exist.</param>
    /// <param name="size">What the guest sees, in bytes.</param>
    /// <param name="format">Layout.</param>
    /// <param name="cancellationToken">Gives up; nothing stays.</param>
    Task CreateAsync(string path, long size, DiskFormat format, CancellationToken cancellationToken);
}
