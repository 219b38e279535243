namespace Godwit.Storage;

/// <summary>How a write or a zeroing is to be carried out.</summary>
[Flags]
public enum WriteFlags
{
    /// <summary>Acknowledge once the write survives the death of this process.</summary>
    None = 0,

    /// <summary>Force unit access: acknowledge once the write survives a power cut.</summary>
    ForceUnitAccess = 1,

    /// <summary>For zeroing only: keep (or reserve) the space instead of giving it back.</summary>
    KeepAllocated = 2,

    /// <summary>For zeroing only, in a differencing image: the image itself must say zero, even where its parent reads as zeroes
    /// already. For a change of parent.</summary>
    HideParent = 4,
}
