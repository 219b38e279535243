namespace Godwit.Storage.Mirror;

/// <summary>Finds zeroes in data so that a sparse disk stays sparse.</summary>
internal static class ZeroRuns
{
    /// <summary>Blocks this long are looked at as a whole: what file systems allocate at least.</summary>
    public const int BlockLength = 4096;

    /// <summary>The length of the run of all-zero, or of not all-zero, blocks that data starts with.</summary>
    public static int Measure(ReadOnlySpan<byte> bytes, out bool zero)
    {
        zero = IsZero(bytes[..Math.Min(BlockLength, bytes.Length)]);
        var length = Math.Min(BlockLength, bytes.Length);
        while (length < bytes.Length && IsZero(bytes.Slice(length, Math.Min(BlockLength, bytes.Length - length))) == zero)
            length = Math.Min(length + BlockLength, bytes.Length);
        return length;
    }

    private static bool IsZero(ReadOnlySpan<byte> bytes) => !bytes.ContainsAnyExcept((byte)0);
}
