using Godwit.Api;
using Godwit.Api.Disks;

namespace Godwit.ControlPlane.VirtualMachines.Drives;

/// <summary>Images of discs, which QEMU itself opens for reading.</summary>
/// <param name="parts">What VMs are made of.</param>
internal sealed class DiscImages(VirtualMachineParts parts)
{
    /// <summary>The path without links, when it leads to an image of a disc.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>; <see cref="ErrorCode.AccessDenied"/>: it is out of bounds;
    /// <see cref="ErrorCode.InvalidRequest"/>: it is a disk.</exception>
    public async Task<string> CheckAsync(string path, CancellationToken cancellationToken)
    {
        var resolved = parts.Folders.Resolve(path);
        if (!parts.Folders.FileExists(resolved))
        {
            throw new GodwitException(ErrorCode.NotFound, $"There is no file '{resolved}'.");
        }
        var found = await parts.Images.DescribeAsync(resolved, cancellationToken).ConfigureAwait(false);
        return found.Format == DiskFormat.Raw ? resolved : throw new GodwitException(
            ErrorCode.InvalidRequest, $"'{resolved}' is a disk ({found.Format}), not the image of a disc.", "Give an ISO image.");
    }
}
