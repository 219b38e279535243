using System.Runtime.InteropServices;
using static Godwit.Storage.FileSystems.PartitionReader;

namespace Godwit.Storage.FileSystems;

/// <summary>Whether a hibernated Windows has the volume in its memory image: hiberfil.sys in the root folder, and its first bytes.</summary>
internal sealed class NtfsHibernation(NtfsVolume volume)
{
    private const int RootRecord = 5;
    private const uint DataAttribute = 0x80;
    private const uint IndexRoot = 0x90;
    private const uint IndexAllocation = 0xa0;
    private const int NameLength = 4;
    private const int MaxIndexBytes = 4 << 20;

    /// <summary>Refuses a volume that a hibernated system will go on using.</summary>
    /// <exception cref="UnusableFileSystemException">And why.</exception>
    public async ValueTask RequireNoneAsync(CancellationToken cancellationToken)
    {
        var root = await volume.ReadRecordAsync(RootRecord, cancellationToken).ConfigureAwait(false);
        var index = root.ValueOf(IndexRoot, NameLength).ToArray();
        if (index.Length < 32)
            throw new UnusableFileSystemException("its root folder is damaged");
        var found = Search(index.AsSpan(16));
        if (found is null && root.Has(IndexAllocation, NameLength))
            found = await SearchRecordsAsync(root, (int)U32(index, 8), cancellationToken).ConfigureAwait(false);
        if (found is not long number)
            return;
        var file = await volume.ReadRecordAsync(number, cancellationToken).ConfigureAwait(false);
        if (!file.Has(DataAttribute) || file.IsResident(DataAttribute))
            return;
        var mark = new byte[4];
        await volume.ReadAsync(volume.DataOf(file), 0, mark, cancellationToken).ConfigureAwait(false);
        if (mark.AsSpan().ContainsAnyExcept((byte)0) && !mark.AsSpan().SequenceEqual("wake"u8) && !mark.AsSpan().SequenceEqual("WAKE"u8))
            throw new UnusableFileSystemException("Windows is hibernated on it, and will go on with what it has in memory; shut it down fully");
    }

    private async ValueTask<long?> SearchRecordsAsync(NtfsRecord root, int recordSize, CancellationToken cancellationToken)
    {
        if (recordSize is < 512 or > 65536 || (recordSize & (recordSize - 1)) != 0)
            throw new UnusableFileSystemException("its root folder is damaged");
        var runs = root.RunsOf(IndexAllocation, volume.ClusterCount, NameLength);
        var length = runs.Count * volume.ClusterSize;
        if (length > MaxIndexBytes)
            throw new UnusableFileSystemException("its root folder is too large to tell whether Windows is hibernated");
        var record = new byte[recordSize];
        for (long at = 0; at + recordSize <= length; at += recordSize)
        {
            await volume.ReadAsync(runs, at, record, cancellationToken).ConfigureAwait(false);

            // A record that is not in use may hold anything.
            if (!record.AsSpan().StartsWith("INDX"u8))
                continue;
            NtfsRecord.Repaired(record, "INDX"u8, "its root folder");
            if (Search(record.AsSpan(24)) is long found)
                return found;
        }

        return null;
    }

    /// <summary>Looks for the name among the entries of one node.</summary>
    /// <param name="node">From the node's header on.</param>
    private static long? Search(ReadOnlySpan<byte> node)
    {
        const int LastEntry = 2;
        if (node.Length < 16)
            return null;
        var end = Math.Min(U32(node, 4), (uint)node.Length);
        for (var at = (long)U32(node, 0); at <= end - 16L;)
        {
            var entry = node[(int)at..(int)end];
            int length = U16(entry, 8);
            if ((U16(entry, 12) & LastEntry) != 0 || length < 16 || length > entry.Length)
                break;
            if (U16(entry, 10) >= 66 && length >= 82 && entry[80] is var letters && 82 + (letters * 2) <= length
                && IsHibernationFile(MemoryMarshal.Cast<byte, char>(entry.Slice(82, letters * 2))))
            {
                return (long)(U64(entry, 0) & 0xffff_ffff_ffff);
            }

            at += length;
        }

        return null;
    }

    private static bool IsHibernationFile(ReadOnlySpan<char> name) => name.Equals("hiberfil.sys", StringComparison.OrdinalIgnoreCase);
}
