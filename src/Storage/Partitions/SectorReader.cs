namespace Godwit.Storage.Partitions;

/// <summary>Reads any bytes of a device, whole sectors of it at a time.</summary>
internal static class SectorReader
{
    /// <summary>Reads a range that need not be whole sectors.</summary>
    /// <param name="device">The device.</param>
    /// <param name="offset">First byte; the range lies within the device.</param>
    /// <param name="length">Bytes; small, they are held in memory.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask<byte[]> ReadAsync(BlockDevice device, long offset, long length, CancellationToken cancellationToken)
    {
        var sector = device.Capabilities.SectorSize;
        var start = offset & -(long)sector;
        var end = Math.Min(device.Length, (offset + length + sector - 1) & -(long)sector);
        var buffer = new byte[end - start];
        await device.ReadAsync(start, buffer, cancellationToken).ConfigureAwait(false);
        return start == offset && end == offset + length
            ? buffer
            : buffer.AsSpan((int)(offset - start), (int)length).ToArray();
    }
}
