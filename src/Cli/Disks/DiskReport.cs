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
    string Path, DiskFormat Format, long Size, long AllocatedBytes, int LogicalSectorSize, int PhysicalSectorSize, int? BlockSize,
    Guid? Identifier);

/// <summary>What <c>disk check</c> found.</summary>
/// <param name="Path">The file, absolute.</param>
/// <param name="Sound">No errors.</param>
/// <param name="Errors">How many findings are errors.</param>
/// <param name="Warnings">How many are warnings.</param>
/// <param name="TotalBlocks">Blocks the disk has; 0 where the format has none or the check did not get that far.</param>
/// <param name="AllocatedBlocks">Blocks that have a place in the file.</param>
/// <param name="Findings">Everything found, in the order of the examination; a very long list is cut and says so.</param>
internal sealed record DiskCheckReport(
    string Path, bool Sound, int Errors, int Warnings, long TotalBlocks, long AllocatedBlocks,
    IReadOnlyList<DiskFinding> Findings);

/// <summary>One thing that <c>disk check</c> found.</summary>
/// <param name="Severity">How bad it is: "Information", "Warning" or "Error".</param>
/// <param name="Offset">Byte offset in the file, when a place is to blame.</param>
/// <param name="Message">What it is.</param>
internal sealed record DiskFinding(Godwit.Storage.Formats.CheckSeverity Severity, long? Offset, string Message);

/// <summary>One run of <c>disk map</c>.</summary>
/// <param name="Offset">First byte, as the guest sees it.</param>
/// <param name="Length">Bytes in the run.</param>
/// <param name="Kind">"Data", "Zero" (reads as zeroes, space set aside) or "Hole" (reads as zeroes, no space).</param>
internal sealed record DiskExtent(long Offset, long Length, Godwit.Storage.ExtentKind Kind);
