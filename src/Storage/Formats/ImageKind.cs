namespace Godwit.Storage.Formats;

/// <summary>What the bytes of a file look like.</summary>
internal enum ImageKind
{
    /// <summary>Nothing that is known, so it may be a raw disk.</summary>
    Raw = 0,

    /// <summary>A VHDX.</summary>
    Vhdx = 1,

    /// <summary>A VHDX whose first sector is damaged: to write to it as to a raw disk would destroy the rest.</summary>
    DamagedVhdx = 2,

    /// <summary>An image of a format Godwit does not read.</summary>
    Foreign = 3,

    /// <summary>A VHD of any kind.</summary>
    Vhd = 4,
}

/// <summary>What was recognized.</summary>
/// <param name="Kind">What the file looks like.</param>
/// <param name="Name">The format's name for messages.</param>
/// <param name="Offset">Where in the file the mark is.</param>
internal readonly record struct DetectedImage(ImageKind Kind, string Name, long Offset);
