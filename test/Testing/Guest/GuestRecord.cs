using System.Numerics;
using System.Runtime.InteropServices;

namespace Godwit.Testing.Guest;

/// <summary>One 4096-byte record as found on a disk; layout in test/guest/record.h.</summary>
public readonly record struct GuestRecord(GuestRecordState State, long Sequence, long Generation, bool IsFiller)
{
    public const int Size = 4096;

    private const ulong Magic = 0x3152544957444F47;
    private const ulong Filler = 2;

    /// <summary>Judges the bytes found at <paramref name="offset"/>.</summary>
    public static GuestRecord Read(ReadOnlySpan<byte> bytes, long offset)
    {
        // The host is little-endian as the guest is: x86-64 only.
        var words = MemoryMarshal.Cast<byte, ulong>(bytes[..Size]);
        if (words[0] != Magic)
        {
            var state = bytes[..Size].ContainsAnyExcept((byte)0) ? GuestRecordState.Damaged : GuestRecordState.Empty;
            return new GuestRecord(state, 0, 0, false);
        }

        var whole = words[2] == (ulong)offset && words[5] == Checksum(words);
        return new GuestRecord(
            whole ? GuestRecordState.Whole : GuestRecordState.Damaged, (long)words[1], (long)words[4], (words[6] & Filler) != 0);
    }

    /// <summary>Makes a record as the guest does; for tests of the checks themselves.</summary>
    public static byte[] Make(long sequence, long offset, long generation, bool filler)
    {
        var bytes = new byte[Size];
        var words = MemoryMarshal.Cast<byte, ulong>(bytes.AsSpan());
        (words[0], words[1], words[2], words[4], words[6]) = (Magic, (ulong)sequence, (ulong)offset, (ulong)generation, filler ? Filler : 0);
        words[7..].Fill((ulong)sequence * 0x9E3779B97F4A7C15);
        words[5] = Checksum(words);
        return bytes;
    }

    private static ulong Checksum(ReadOnlySpan<ulong> words)
    {
        var sum = 0x243F6A8885A308D3UL;
        for (var i = 0; i < words.Length; i++)
            sum = unchecked((BitOperations.RotateLeft(sum, 5) ^ (i == 5 ? 0 : words[i])) * 0x9E3779B97F4A7C15UL);
        return sum;
    }
}

/// <summary>What a slot holds.</summary>
public enum GuestRecordState
{
    /// <summary>Zeroes: never written, or lost.</summary>
    Empty = 0,

    /// <summary>A record, undamaged and in its place.</summary>
    Whole = 1,

    /// <summary>Anything else.</summary>
    Damaged = 2,
}
