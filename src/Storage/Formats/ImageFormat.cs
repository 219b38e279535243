namespace Godwit.Storage.Formats;

/// <summary>The image formats Godwit reads and writes. The numbers never change meaning.</summary>
public enum ImageFormat
{
    /// <summary>The file's bytes are the disk's bytes.</summary>
    Raw = 0,

    /// <summary>VHDX whose blocks get their space when they are first written.</summary>
    VhdxDynamic = 1,

    /// <summary>VHDX whose blocks have all their space from the start.</summary>
    VhdxFixed = 2,

    /// <summary>VHDX that holds what differs from its parent.</summary>
    VhdxDifferencing = 3,

    /// <summary>VHD whose blocks have all their space from the start.</summary>
    VhdFixed = 4,

    /// <summary>VHD whose blocks get their space when they are first written.</summary>
    VhdDynamic = 5,

    /// <summary>VHD that holds what differs from its parent.</summary>
    VhdDifferencing = 6,
}
