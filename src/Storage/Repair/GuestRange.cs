namespace Godwit.Storage.Repair;

/// <summary>Bytes of the disk as its guest sees them.</summary>
/// <param name="Offset">First byte.</param>
/// <param name="Length">How many.</param>
public readonly record struct GuestRange(long Offset, long Length);
