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

    /// <summary>Creates an empty image over another, which nothing may be written to from then on; nothing stays when it fails.</summary>
    /// <param name="parent">The image below; the new one names it by a path relative to its own folder.</param>
    /// <param name="path">Where, an absolute path; must not exist.</param>
    /// <param name="cancellationToken">Gives up; nothing stays.</param>
    Task CreateChildAsync(string parent, string path, CancellationToken cancellationToken);

    /// <summary>Merges an image into its parent; its file goes. Interrupted, the same call finishes it.</summary>
    /// <param name="leaf">The image over it, which gets the parent as its own; the image itself when nothing is over it.</param>
    /// <param name="layer">The image.</param>
    /// <param name="cancellationToken">Gives up; the chain reads as before.</param>
    Task MergeAsync(string leaf, string layer, CancellationToken cancellationToken);
}
