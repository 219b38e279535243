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
    Guid? Identifier)
{
    /// <summary>What a child records to know this image again.</summary>
    public Guid? Linkage { get; init; }

    /// <summary>True when changes wait in the log of a VHDX; left out otherwise.</summary>
    public bool? LogIsDirty { get; init; }

    /// <summary>What a differencing image says about its parent.</summary>
    public DiskParentRecord? Parent { get; init; }

    /// <summary>The image and all its parents, down to the base; only for differencing images.</summary>
    public IReadOnlyList<DiskReport>? Chain { get; init; }

    /// <summary>Why the chain cannot be followed.</summary>
    public string? ChainProblem { get; init; }

    /// <summary>What else a person should know about the chain: paths to a parent that are out of date.</summary>
    public IReadOnlyList<string>? Notes { get; init; }
}

/// <summary>What a differencing image says about its parent.</summary>
/// <param name="Linkage">The parent's identity.</param>
/// <param name="Alternate">A second identity that is as good.</param>
/// <param name="Paths">Where the parent was, as recorded.</param>
internal sealed record DiskParentRecord(Guid Linkage, Guid? Alternate, IReadOnlyList<string> Paths);

/// <summary>What <c>disk check</c> found.</summary>
/// <param name="Path">The file, absolute.</param>
/// <param name="Sound">No errors, in the parents neither.</param>
/// <param name="Errors">How many findings are errors.</param>
/// <param name="Warnings">How many are warnings.</param>
/// <param name="TotalBlocks">Blocks the disk has; 0 where the format has none or the check did not get that far.</param>
/// <param name="AllocatedBlocks">Blocks that have a place in the file.</param>
/// <param name="Findings">Everything found, in the order of the examination; a very long list is cut and says so.</param>
internal sealed record DiskCheckReport(
    string Path, bool Sound, int Errors, int Warnings, long TotalBlocks, long AllocatedBlocks,
    IReadOnlyList<DiskFinding> Findings)
{
    /// <summary>The same for each parent, down to the base; only for differencing images.</summary>
    public IReadOnlyList<DiskCheckReport>? Parents { get; init; }
}

/// <summary>One thing that <c>disk check</c> found.</summary>
/// <param name="Severity">How bad it is: "Information", "Warning" or "Error".</param>
/// <param name="Offset">Byte offset in the file, when a place is to blame.</param>
/// <param name="Message">What it is.</param>
internal sealed record DiskFinding(Godwit.Storage.Formats.CheckSeverity Severity, long? Offset, string Message)
{
    /// <summary>"Repair" or "RepairLossy" where <c>disk repair</c> mends it; left out otherwise.</summary>
    public Godwit.Storage.Formats.CheckRemedy? Remedy { get; init; }
}

/// <summary>One run of <c>disk map</c>.</summary>
/// <param name="Offset">First byte, as the guest sees it.</param>
/// <param name="Length">Bytes in the run.</param>
/// <param name="Kind">"Data", "Zero" (reads as zeroes, space set aside) or "Hole" (reads as zeroes, no space).</param>
/// <param name="Layer">Which layer decides: 0 the image itself, 1 its parent and so on.</param>
/// <param name="Path">That layer's file.</param>
internal sealed record DiskExtent(long Offset, long Length, Godwit.Storage.ExtentKind Kind, int Layer, string Path);

/// <summary>What <c>disk merge</c> did or would do.</summary>
/// <param name="Target">The layer that received the others.</param>
/// <param name="Merged">The files that are gone.</param>
/// <param name="Above">The image that got the target as its parent; left out when the leaf was merged.</param>
internal sealed record DiskMergeReport(string Target, IReadOnlyList<string> Merged, string? Above);

/// <summary>What <c>disk rebase</c> and <c>disk set-parent</c> did.</summary>
/// <param name="Path">The differencing image.</param>
/// <param name="Parent">Its parent now.</param>
/// <param name="WrittenBytes">Bytes that had to be written into the image so that it reads as before.</param>
internal sealed record DiskParentReport(string Path, string Parent, long WrittenBytes);
