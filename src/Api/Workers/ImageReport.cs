using Godwit.Api.Disks;

namespace Godwit.Api.Workers;

/// <summary>What <c>godwit-worker image</c> says about an image file.</summary>
/// <param name="Format">Its layout.</param>
/// <param name="Size">What a guest would see, in bytes.</param>
/// <param name="AllocatedBytes">Bytes the file occupies.</param>
public sealed record ImageReport(DiskFormat Format, long Size, long AllocatedBytes);
