namespace Godwit.Storage.Operations;

/// <summary>What comparing two disks found.</summary>
/// <param name="FirstLength">Bytes of the first disk.</param>
/// <param name="SecondLength">Bytes of the second disk.</param>
/// <param name="FirstDifference">Offset of the first byte that differs; null when none does. What the longer disk has more counts as
/// differing from zeroes.</param>
/// <param name="DifferingBytes">How many bytes differ, of those that were compared.</param>
/// <param name="ComparedTo">Everything before this offset was compared; the longer disk's length when nothing was left out.</param>
public sealed record CompareResult(
    long FirstLength, long SecondLength, long? FirstDifference, long DifferingBytes, long ComparedTo)
{
    /// <summary>Both hold the same: where one is longer, the rest of it reads as zeroes.</summary>
    public bool Same => FirstDifference is null;

    /// <summary>Nothing was left out, so <see cref="DifferingBytes"/> is the whole number.</summary>
    public bool IsComplete => ComparedTo == Math.Max(FirstLength, SecondLength);
}
