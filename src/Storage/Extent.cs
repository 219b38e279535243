namespace Godwit.Storage;

/// <summary>What a range of a device or file holds.</summary>
public enum ExtentKind
{
    /// <summary>Allocated; the bytes may be anything.</summary>
    Data = 0,

    /// <summary>Reads as zeroes; space is set aside for it.</summary>
    Zero = 1,

    /// <summary>Reads as zeroes; no space is set aside for it.</summary>
    Hole = 2,
}

/// <summary>A run of bytes of one kind.</summary>
/// <param name="Offset">First byte.</param>
/// <param name="Length">Bytes in the run, above zero.</param>
/// <param name="Kind">What the run holds.</param>
/// <param name="Layer">Which layer of a chain decides what is read there: 0 for the image that was opened, 1 for its parent
/// and so on; the base where no layer has anything. Always 0 for a device without a parent.</param>
public readonly record struct Extent(long Offset, long Length, ExtentKind Kind, int Layer = 0)
{
    /// <summary>The byte after the last one.</summary>
    public long End => Offset + Length;

    /// <summary>The run reads as zeroes.</summary>
    public bool ReadsAsZeroes => Kind != ExtentKind.Data;
}
