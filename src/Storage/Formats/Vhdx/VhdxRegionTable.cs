using System.Buffers.Binary;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>A stretch of the file with one purpose.</summary>
/// <param name="Id">What it is for.</param>
/// <param name="Offset">First byte; a multiple of 1 MiB.</param>
/// <param name="Length">Bytes; a multiple of 1 MiB.</param>
/// <param name="Required">A reader that does not know it must not open the file.</param>
internal readonly record struct VhdxRegion(Guid Id, long Offset, long Length, bool Required)
{
    public long End => Offset + Length;
}

/// <summary>The table that says where the BAT and the metadata are. Two copies, either will do.</summary>
/// <remarks>[MS-VHDX] section 2.2.3.</remarks>
internal sealed class VhdxRegionTable
{
    private const int ChecksumAt = 4;
    private const int EntryLength = 32;
    private const int FirstEntryAt = 16;

    private readonly bool _secondRules;

    private VhdxRegionTable(IReadOnlyList<VhdxRegion> regions, VhdxRegion bat, VhdxRegion metadata, bool secondRules)
    {
        Regions = regions;
        Bat = bat;
        Metadata = metadata;
        _secondRules = secondRules;
    }

    /// <summary>Every region, unknown ones included: their space is not free.</summary>
    public IReadOnlyList<VhdxRegion> Regions { get; }

    public VhdxRegion Bat { get; }

    public VhdxRegion Metadata { get; }

    /// <summary>Both copies are valid and say different things: a move of a region was cut off.</summary>
    public bool CopiesDiffer { get; private init; }

    /// <summary>Reads the first valid copy and checks that its regions are inside the file and apart from each other and the log.</summary>
    /// <exception cref="StorageException">Corrupt, or Unsupported when an unknown region is marked as required.</exception>
    public static async ValueTask<VhdxRegionTable> ReadAsync(
        IStorageFile file, VhdxHeader header, VhdxFindings findings, CancellationToken cancellationToken)
    {
        var first = GC.AllocateUninitializedArray<byte>(VhdxFormat.RegionTableLength);
        var second = GC.AllocateUninitializedArray<byte>(VhdxFormat.RegionTableLength);
        await file.ReadAsync(VhdxFormat.FirstRegionTableOffset, first, cancellationToken).ConfigureAwait(false);
        await file.ReadAsync(VhdxFormat.SecondRegionTableOffset, second, cancellationToken).ConfigureAwait(false);
        var firstProblem = ProblemOf(first);
        var secondProblem = ProblemOf(second);
        if (firstProblem is not null && secondProblem is not null)
        {
            throw Corrupt(file, VhdxFormat.FirstRegionTableOffset,
                $"both region tables are damaged (first: {firstProblem}; second, at {VhdxFormat.SecondRegionTableOffset}: {secondProblem})");
        }

        if (firstProblem is not null)
            findings.Warning(VhdxFormat.FirstRegionTableOffset, $"the first region table is damaged ({firstProblem}); the second one is used");
        else if (secondProblem is not null)
            findings.Warning(VhdxFormat.SecondRegionTableOffset, $"the second region table is damaged ({secondProblem}); the first one is used");
        else if (!first.AsSpan().SequenceEqual(second))
            findings.Warning(VhdxFormat.SecondRegionTableOffset, "the two region tables differ; the first one is used");

        var ruling = firstProblem is null
            ? Parse(file, header, first, VhdxFormat.FirstRegionTableOffset)
            : Parse(file, header, second, VhdxFormat.SecondRegionTableOffset);
        var differ = firstProblem is null && secondProblem is null && !first.AsSpan().SequenceEqual(second);
        return differ ? new VhdxRegionTable(ruling.Regions, ruling.Bat, ruling.Metadata, secondRules: false) { CopiesDiffer = true } : ruling;
    }

    /// <summary>Writes other regions into both copies, first the one that does not rule, each stable before this goes on: at every
    /// moment one valid copy says the old or the new. Both must be true until this returns.</summary>
    /// <param name="file">The image.</param>
    /// <param name="regions">All regions of the file.</param>
    public async ValueTask ReplaceAsync(IStorageFile file, VhdxRegion[] regions)
    {
        var bytes = ToBytes(regions);
        foreach (var second in new[] { !_secondRules, _secondRules })
        {
            var offset = second ? VhdxFormat.SecondRegionTableOffset : VhdxFormat.FirstRegionTableOffset;
            await file.WriteAsync(offset, bytes, CancellationToken.None).ConfigureAwait(false);
            await file.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <summary>Makes the copy that does not rule say what the ruling one says: it names a place that may become somebody else's.</summary>
    public async ValueTask HealAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        await file.WriteAsync(VhdxFormat.SecondRegionTableOffset, ToBytes([.. Regions]), cancellationToken).ConfigureAwait(false);
        await file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>A table's bytes, for a new file.</summary>
    public static byte[] ToBytes(params ReadOnlySpan<VhdxRegion> regions)
    {
        var bytes = new byte[VhdxFormat.RegionTableLength];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, VhdxFormat.RegionTableSignature);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), regions.Length);
        for (var index = 0; index < regions.Length; index++)
        {
            var entry = bytes.AsSpan(FirstEntryAt + (index * EntryLength), EntryLength);
            regions[index].Id.TryWriteBytes(entry);
            BinaryPrimitives.WriteInt64LittleEndian(entry[16..], regions[index].Offset);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[24..], (uint)regions[index].Length);
            BinaryPrimitives.WriteInt32LittleEndian(entry[28..], regions[index].Required ? 1 : 0);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(ChecksumAt), Crc32C.OfStructure(bytes, ChecksumAt));
        return bytes;
    }

    /// <summary>Why these bytes are no region table, or null; what its entries say is not looked at.</summary>
    public static string? ProblemOf(ReadOnlySpan<byte> bytes)
    {
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes) != VhdxFormat.RegionTableSignature)
            return "the signature \"regi\" is missing";
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes[ChecksumAt..]) != Crc32C.OfStructure(bytes, ChecksumAt))
            return "the checksum is wrong";
        var count = BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]);
        return count > VhdxFormat.MaxRegions ? $"{count} entries, more than {VhdxFormat.MaxRegions}" : null;
    }

    /// <summary>The region of that kind which the end of a file's data cuts through; null when it does not. The table has no problem of
    /// its own.</summary>
    public static VhdxRegion? FindCut(ReadOnlySpan<byte> bytes, Guid id, long dataEnd)
    {
        var count = BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]);
        VhdxRegion? found = null;
        var times = 0;
        for (var index = 0; index < count; index++)
        {
            var entry = bytes.Slice(FirstEntryAt + (index * EntryLength), EntryLength);
            times += new Guid(entry[..16]) == id ? 1 : 0;
            var (offset, length) = (BinaryPrimitives.ReadInt64LittleEndian(entry[16..]), BinaryPrimitives.ReadUInt32LittleEndian(entry[24..]));
            if (new Guid(entry[..16]) == id && offset % VhdxFormat.MiB == 0 && length % VhdxFormat.MiB == 0
                && offset >= VhdxFormat.HeaderSectionEnd && offset < dataEnd && offset > dataEnd - length)
            {
                found = new VhdxRegion(id, offset, length, true);
            }
        }

        // Listed twice, the table says nothing that could be trusted.
        return times == 1 ? found : null;
    }

    /// <summary>Reads the entries of a table without a problem of its own.</summary>
    /// <exception cref="StorageException">As for <see cref="ReadAsync"/>.</exception>
    public static VhdxRegionTable Parse(IStorageFile file, VhdxHeader header, ReadOnlySpan<byte> bytes, long tableOffset)
    {
        var count = BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]);
        var regions = new List<VhdxRegion>(count);
        var ids = new HashSet<Guid>();
        for (var index = 0; index < count; index++)
        {
            var at = FirstEntryAt + (index * EntryLength);
            var region = ParseEntry(file, bytes.Slice(at, EntryLength), tableOffset + at);
            if (!ids.Add(region.Id))
                throw Corrupt(file, tableOffset + at, $"the region {region.Id} is listed twice");
            regions.Add(region);
        }

        CheckApart(file, header, regions, tableOffset);
        return new VhdxRegionTable(
            regions,
            Find(file, regions, VhdxFormat.BatRegion, "block allocation table", tableOffset),
            Find(file, regions, VhdxFormat.MetadataRegion, "metadata region", tableOffset),
            secondRules: tableOffset == VhdxFormat.SecondRegionTableOffset);
    }

    private static VhdxRegion ParseEntry(IStorageFile file, ReadOnlySpan<byte> entry, long offset)
    {
        var region = new VhdxRegion(
            new Guid(entry[..16]),
            BinaryPrimitives.ReadInt64LittleEndian(entry[16..]),
            BinaryPrimitives.ReadUInt32LittleEndian(entry[24..]),
            (BinaryPrimitives.ReadUInt32LittleEndian(entry[28..]) & 1) != 0);
        if (region.Required && region.Id != VhdxFormat.BatRegion && region.Id != VhdxFormat.MetadataRegion)
        {
            throw new StorageException(StorageErrorKind.Unsupported,
                $"the file needs a region this version does not know ({region.Id})", file.Path, offset, "open");
        }

        if (region.Offset < VhdxFormat.HeaderSectionEnd || region.Offset % VhdxFormat.MiB != 0)
            throw Corrupt(file, offset, $"the region {region.Id} starts at {region.Offset}, not at a multiple of 1 MiB behind the header section");
        if (region.Length == 0 || region.Length % VhdxFormat.MiB != 0)
            throw Corrupt(file, offset, $"the region {region.Id} has {region.Length} bytes, not a multiple of 1 MiB above zero");
        if (region.Offset > file.Length - region.Length)
            throw Corrupt(file, offset, $"the region {region.Id} ({region.Length} bytes at {region.Offset}) reaches past the end of the file at {file.Length}");
        return region;
    }

    private static void CheckApart(IStorageFile file, VhdxHeader header, List<VhdxRegion> regions, long tableOffset)
    {
        var all = new List<VhdxRegion>(regions) { new(Guid.Empty, header.LogOffset, header.LogLength, true) };
        all.Sort(static (a, b) => a.Offset.CompareTo(b.Offset));
        for (var index = 1; index < all.Count; index++)
        {
            if (all[index].Offset < all[index - 1].End)
                throw Corrupt(file, tableOffset, $"{NameOf(all[index - 1])} and {NameOf(all[index])} overlap at {all[index].Offset}");
        }
    }

    private static string NameOf(VhdxRegion region) => region.Id == Guid.Empty ? "the log" : $"the region {region.Id}";

    private static VhdxRegion Find(IStorageFile file, List<VhdxRegion> regions, Guid id, string name, long tableOffset)
    {
        foreach (var region in regions)
        {
            if (region.Id == id)
                return region;
        }

        throw Corrupt(file, tableOffset, $"the region table does not list the {name}");
    }

    private static StorageException Corrupt(IStorageFile file, long offset, string reason) =>
        new(StorageErrorKind.Corrupt, reason, file.Path, offset, "open");
}
