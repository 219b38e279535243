using Godwit.Api.Disks;

namespace Godwit.Cli.Disks;

/// <summary>What <c>disk info</c>, <c>disk create</c> and <c>disk convert</c> say about an image file.</summary>
/// <param name="Path">The file, absolute.</param>
/// <param name="Format">Its layout.</param>
/// <param name="Size">What a guest sees, in bytes.</param>
/// <param name="AllocatedBytes">Bytes the file occupies.</param>
/// <param name="LogicalSectorSize">Sector size the guest sees, in bytes.</param>
/// <param name="PhysicalSectorSize">Physical sector size the guest is told, in bytes.</param>
/// <param name="BlockSize">Unit of allocation of a VHDX, in bytes.</param>
/// <param name="Identifier">The disk's own identity, where the format has one.</param>
internal sealed record DiskReport(
    string Path, DiskFormat Format, long Size, long AllocatedBytes, int LogicalSectorSize, int PhysicalSectorSize, long? BlockSize, string? Identifier);

/// <summary>What <c>disk check</c> found.</summary>
/// <param name="Path">The file, absolute.</param>
/// <param name="Clean">Nothing worse than a remark was found.</param>
/// <param name="Findings">Everything found, in the order of the examination.</param>
internal sealed record DiskCheckReport(string Path, bool Clean, IReadOnlyList<DiskFinding> Findings);

/// <summary>One thing that <c>disk check</c> found.</summary>
/// <param name="Severity">How bad it is.</param>
/// <param name="Offset">Byte offset in the file, when a place is to blame.</param>
/// <param name="Message">What it is.</param>
internal sealed record DiskFinding(string Severity, long? Offset, string Message);

/// <summary>One run of <c>disk map</c>.</summary>
/// <param name="Offset">First byte, as the guest sees it.</param>
/// <param name="Length">Bytes in the run.</param>
/// <param name="Kind">"Data", "Zero" (reads as zeroes, space set aside) or "Hole" (reads as zeroes, no space).</param>
internal sealed record DiskExtent(long Offset, long Length, Godwit.Storage.ExtentKind Kind);
