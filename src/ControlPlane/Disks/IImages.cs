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

    /// <summary>Creates a differencing image, which reads like its parent until it is written to; nothing stays when it fails.</summary>
    /// <param name="parent">The parent, an absolute path; from now on nothing may write to it, and no worker may serve it for writing. Not a raw file.</param>
    /// <param name="path">Where, an absolute path that ends as the parent's format has it (<c>.avhdx</c>, <c>.vhdx</c>; <c>.avhd</c>, <c>.vhd</c>); must not
    /// exist. In its folder for good: it names its parent by a relative path too.</param>
    /// <param name="cancellationToken">Gives up; nothing stays.</param>
    /// <returns>What the new image is.</returns>
    /// <exception cref="GodwitException">NotFound; AlreadyExists; InvalidRequest: the parent is a raw file; AccessDenied: one of the parent's own parents is
    /// outside the folders this host allows; Busy: somebody writes to the parent.</exception>
    Task<ImageReport> CreateChildAsync(string parent, string path, CancellationToken cancellationToken);

    /// <summary>Merges a layer of a chain that nobody uses into its parent, and removes the layer's file.</summary>
    /// <param name="leaf">The image whose chain it is.</param>
    /// <param name="layer">The layer; null for the leaf itself.</param>
    /// <param name="cancellationToken">Gives up while it copies; the chain reads as before.</param>
    /// <returns>What the parent is now, and its path. When it was the leaf that was merged, the parent is the disk from now on.</returns>
    /// <remarks>Killed at any instant the same call finishes it, until the layer's file is gone: then it answers NotFound. So record what is wanted first, and
    /// take a leaf that is gone for one that was merged.</remarks>
    /// <exception cref="GodwitException">NotFound; InvalidRequest: it is no layer of the chain, it is the base, or another image has one of the two as its
    /// parent; Busy: somebody has a layer open.</exception>
    Task<ImageReport> MergeAsync(string leaf, string? layer, CancellationToken cancellationToken);
}
