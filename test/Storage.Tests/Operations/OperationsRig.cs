using Godwit.Storage.Formats;
using Godwit.Testing.Disks;

namespace Godwit.Storage.Tests.Operations;

/// <summary>Disks with known content for the operations.</summary>
internal static class OperationsRig
{
    /// <summary>The unit in which <see cref="FillAsync"/> lays out content, in bytes.</summary>
    public const int Unit = 32 << 10;

    /// <summary>Lays out pieces: 0 is left alone, 1 is written zeroes, anything else bytes that differ from piece to piece.</summary>
    public static async Task FillAsync(BlockDevice disk, IReadOnlyList<int> pieces, CancellationToken cancellationToken)
    {
        var buffer = new byte[Unit];
        for (var i = 0; i < pieces.Count && (long)i * Unit < disk.Length; i++)
        {
            buffer.AsSpan().Fill((byte)(pieces[i] > 1 ? 1 + ((i + pieces[i]) % 255) : 0));
            if (pieces[i] > 0)
            {
                var length = (int)Math.Min(Unit, disk.Length - ((long)i * Unit));
                await disk.WriteAsync((long)i * Unit, buffer.AsMemory(0, length), WriteFlags.None, cancellationToken);
            }
        }
    }

    /// <summary>A disk in memory with such content.</summary>
    public static async Task<ReferenceDisk> CreateAsync(
        long size, IReadOnlyList<int> pieces, CancellationToken cancellationToken, int sector = 512)
    {
        var disk = new ReferenceDisk(size, DiskCapabilities.Default with { SectorSize = sector, CanResize = true });
        await FillAsync(disk, pieces, cancellationToken);
        return disk;
    }

    /// <summary>Creates an image and opens it.</summary>
    public static async Task<BlockDevice> CreateImageAsync(
        string path, ImageFormat format, long size, int? blockSize, CancellationToken cancellationToken)
    {
        await DiskImage.CreateAsync(path, format, size, new ImageCreateOptions { BlockSize = blockSize }, cancellationToken);
        return await DiskImage.OpenAsync(path, format, readOnly: false, cancellationToken);
    }

    /// <summary>Everything a disk holds.</summary>
    public static async Task<byte[]> ReadAllAsync(BlockDevice disk, CancellationToken cancellationToken)
    {
        var bytes = new byte[disk.Length];
        await disk.ReadAsync(0, bytes, cancellationToken);
        return bytes;
    }
}
