using Godwit.Api.Disks;

namespace Godwit.Api.Workers;

/// <summary>What <c>godwit-worker image info</c> and <c>image create</c> print about an image file.</summary>
/// <param name="Format">How the file is laid out.</param>
/// <param name="Size">What a guest sees, in bytes.</param>
/// <param name="AllocatedBytes">Bytes the file occupies.</param>
public sealed record ImageReport(DiskFormat Format, long Size, long AllocatedBytes);
