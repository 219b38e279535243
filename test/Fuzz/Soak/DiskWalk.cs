using System.Runtime.InteropServices;
using Godwit.Storage;

namespace Godwit.Fuzz.Soak;

/// <summary>Reads a disk through its extents: cheap for disks of many TiB that hold little.</summary>
internal static class DiskWalk
{
    private const int Piece = 256 << 10;
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>The number every sector that is not zero is filled with.</summary>
    /// <exception cref="SoakFailure">A sector is torn, or a hole is none.</exception>
    public static async ValueTask<Dictionary<long, long>> ReadAllAsync(BlockDevice disk, Random random)
    {
        var found = new Dictionary<long, long>();
        var buffer = new byte[Piece];
        for (var at = 0L; at < disk.Length;)
        {
            var extent = await disk.GetExtentAsync(at, disk.Length - at, None);
            if (extent.Offset != at || extent.Length <= 0 || extent.End > disk.Length)
                throw new SoakFailure($"asked for {disk.Length - at} bytes at {at} the disk answers with {extent}");
            if (extent.ReadsAsZeroes)
                await SampleAsync(disk, extent, random, buffer);
            else
                await ReadAsync(disk, extent, buffer, found);
            at = extent.End;
        }

        return found;
    }

    /// <summary>Adds the sectors of a range that are not zero.</summary>
    public static void Collect(ReadOnlySpan<byte> bytes, long offset, Dictionary<long, long> found)
    {
        for (var at = 0; at < bytes.Length; at += SectorModel.Sector)
        {
            var numbers = MemoryMarshal.Cast<byte, long>(bytes.Slice(at, SectorModel.Sector));
            if (numbers.ContainsAnyExcept(numbers[0]))
                throw new SoakFailure($"sector {(offset + at) / SectorModel.Sector} is torn");
            if (numbers[0] != 0)
                found.Add((offset + at) / SectorModel.Sector, numbers[0]);
        }
    }

    private static async ValueTask ReadAsync(BlockDevice disk, Extent extent, byte[] buffer, Dictionary<long, long> found)
    {
        for (var at = extent.Offset; at < extent.End; at += Piece)
        {
            var part = buffer.AsMemory(0, (int)Math.Min(Piece, extent.End - at));
            await disk.ReadAsync(at, part, None);
            Collect(part.Span, at, found);
        }
    }

    /// <summary>Believes a hole, but looks into one of eight.</summary>
    private static async ValueTask SampleAsync(BlockDevice disk, Extent extent, Random random, byte[] buffer)
    {
        if (random.Next(8) != 0)
            return;
        var sector = disk.Capabilities.SectorSize;
        var offset = extent.Offset + (random.NextInt64(extent.Length / sector) * sector);
        var part = buffer.AsMemory(0, (int)Math.Min(64 << 10, extent.End - offset));
        await disk.ReadAsync(offset, part, None);
        if (part.Span.ContainsAnyExcept((byte)0))
            throw new SoakFailure($"the {extent.Kind} at {extent.Offset} does not read as zeroes near {offset}");
    }
}
