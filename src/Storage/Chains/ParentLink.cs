namespace Godwit.Storage.Chains;

/// <summary>What a differencing image says about its parent.</summary>
/// <param name="Linkage">The parent's identity when the child was made: the DataWriteGuid of a VHDX ([MS-VHDX] 2.6.2.6.3,
/// parent_linkage), the unique id of a VHD.</param>
/// <param name="Alternate">VHDX: parent_linkage2, a second identity that is as good; null when not there or zero.</param>
/// <param name="Modified">VHD: the parent's time stamp when the child was made; null for VHDX.</param>
/// <param name="Paths">Where the parent was, in the order of the file; any of them may be out of date.</param>
public sealed record ParentLink(Guid Linkage, Guid? Alternate, DateTimeOffset? Modified, IReadOnlyList<ParentPath> Paths);

/// <summary>One place a differencing image names for its parent.</summary>
/// <param name="Kind">How to read it.</param>
/// <param name="Text">As in the file, with the separators of the system that wrote it.</param>
public sealed record ParentPath(ParentPathKind Kind, string Text);

/// <summary>How a parent's path is to be read. In the order in which they are tried.</summary>
public enum ParentPathKind
{
    /// <summary>Relative to the folder of the child (VHDX relative_path, VHD W2ru and Wi2r).</summary>
    Relative = 0,

    /// <summary>Relative to a volume named by its GUID (VHDX volume_path).</summary>
    Volume = 1,

    /// <summary>Absolute, of Windows or of this computer (VHDX absolute_win32_path, VHD W2ku and Wi2k).</summary>
    Absolute = 2,

    /// <summary>A file URL (VHD MacX).</summary>
    Url = 3,

    /// <summary>A bare file name (VHD parent unicode name): looked for in the folder of the child.</summary>
    Name = 4,
}
