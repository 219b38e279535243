using Godwit.Api.Disks;

namespace Godwit.Api.Workers;

/// <summary>What <c>godwit-worker image info</c> and <c>image create</c> print about an image file, and <c>image merge</c> about the parent.</summary>
/// <param name="Format">How the file is laid out.</param>
/// <param name="Size">What a guest sees, in bytes.</param>
/// <param name="AllocatedBytes">Bytes the file occupies.</param>
/// <param name="Path">The file, where it is not the one that was named.</param>
public sealed record ImageReport(DiskFormat Format, long Size, long AllocatedBytes, string? Path = null);
