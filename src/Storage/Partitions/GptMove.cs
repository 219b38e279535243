using System.Buffers.Binary;

namespace Godwit.Storage.Partitions;

/// <summary>Brings the backup of a GUID partition table to another end of the disk (UEFI specification 5.3.2).</summary>
/// <remarks>The backup goes to its new place first and is flushed; then the primary, one sector, is made to name it and is flushed.
/// At every moment one complete copy is where the other one, or the end of the disk, says. Partitions stay as they are.</remarks>
internal static class GptMove
{
    /// <summary>Bytes that must be free behind the last partition for the backup.</summary>
    public static long RoomFor(GptCopies copies) => (copies.Current.EntriesSectors + 1) * copies.Current.SectorSize;

    /// <summary>A disk of that size has room for both copies.</summary>
    public static bool Fits(GptCopies copies, long length)
    {
        var (primary, size) = (copies.Primary, copies.Current.SectorSize);
        var behindPrimary = ((primary?.EntriesLba ?? 2) + copies.Current.EntriesSectors) * size;
        return length / size * size >= behindPrimary + size + RoomFor(copies);
    }

    /// <summary>Writes the copies for a disk of another size. The space for the backup in front of that end is overwritten.</summary>
    /// <param name="device">The disk, still with its old size; both must hold the new backup.</param>
    /// <param name="copies">The table as it was read.</param>
    /// <param name="length">Bytes the disk is to have.</param>
    /// <param name="cancellationToken">Gives up; the table can be read all the same.</param>
    public static async ValueTask RunAsync(BlockDevice device, GptCopies copies, long length, CancellationToken cancellationToken)
    {
        var copy = copies.Current;
        var size = copy.SectorSize;
        var last = (length / size) - 1;
        var entries = new byte[copy.EntriesSectors * size];
        copy.Entries.CopyTo(entries, 0);
        var primaryEntries = copies.Primary?.EntriesLba ?? 2;
        if (copies.Primary is null)
        {
            // The backup is the only copy, and the new one may overlap it.
            await WriteAsync(device, primaryEntries * size, entries, cancellationToken).ConfigureAwait(false);
            await device.FlushAsync(cancellationToken).ConfigureAwait(false);
            await WriteAsync(
                device, size, Header(copy, 1, copy.MyLba, primaryEntries, (long)copy.LastUsable), cancellationToken).ConfigureAwait(false);
            await device.FlushAsync(cancellationToken).ConfigureAwait(false);
        }

        var entriesLba = last - copy.EntriesSectors;
        await WriteAsync(device, entriesLba * size, entries, cancellationToken).ConfigureAwait(false);
        await WriteAsync(device, last * size, Header(copy, last, 1, entriesLba, entriesLba - 1), cancellationToken).ConfigureAwait(false);
        await device.FlushAsync(cancellationToken).ConfigureAwait(false);

        await WriteAsync(device, size, Header(copy, 1, last, primaryEntries, entriesLba - 1), cancellationToken).ConfigureAwait(false);
        await device.FlushAsync(cancellationToken).ConfigureAwait(false);
        await ResizeProtectiveAsync(device, last, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The protective MBR covers the disk up to its last sector (UEFI specification 5.2.3).</summary>
    private static async ValueTask ResizeProtectiveAsync(BlockDevice device, long last, CancellationToken cancellationToken)
    {
        var sector = await SectorReader.ReadAsync(device, 0, device.Capabilities.SectorSize, cancellationToken).ConfigureAwait(false);
        var index = Array.FindIndex(new MbrSector(sector).Entries, entry => entry.IsProtective);
        if (index < 0)
            return;
        var entry = sector.AsSpan(MbrSector.EntryOffset(index));
        var start = BinaryPrimitives.ReadUInt32LittleEndian(entry[8..]);

        // A hybrid MBR protects only what its own partitions leave.
        if (start != 1 || Array.Exists(new MbrSector(sector).Entries, other => other.IsUsed && !other.IsProtective))
            return;
        BinaryPrimitives.WriteUInt32LittleEndian(entry[12..], (uint)Math.Min(last, uint.MaxValue));
        await device.WriteAsync(0, sector, WriteFlags.None, cancellationToken).ConfigureAwait(false);
        await device.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private static byte[] Header(GptCopy copy, long my, long other, long entriesLba, long lastUsable)
    {
        var header = (byte[])copy.Header.Clone();
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(GptLayout.MyLba), my);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(GptLayout.AlternateLba), other);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(GptLayout.LastUsable), lastUsable);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(GptLayout.EntriesLba), entriesLba);
        var crc = header.AsSpan(GptLayout.HeaderCrc, sizeof(uint));
        crc.Clear();
        var length = BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(GptLayout.HeaderSize));
        BinaryPrimitives.WriteUInt32LittleEndian(crc, Crc32.Of(header.AsSpan(0, length)));
        return header;
    }

    /// <summary>Writes whole sectors of the table, which are whole sectors of the device or larger.</summary>
    private static ValueTask WriteAsync(BlockDevice device, long offset, byte[] bytes, CancellationToken cancellationToken) =>
        device.WriteAsync(offset, bytes, WriteFlags.None, cancellationToken);
}
