using System.Buffers.Binary;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Repair;

/// <summary>Finds metadata and block table in a file whose region tables are both lost. Never writes.</summary>
/// <remarks>What a damaged copy still says comes first; then every MiB of the front of the file is looked at. A block table is
/// taken only when all of it makes sense, something is in it, and no other place would do as well.</remarks>
/// <param name="file">The file.</param>
/// <param name="header">Its header: the log is no region.</param>
/// <param name="copies">The damaged copies.</param>
internal sealed class VhdxRegionSearch(IStorageFile file, VhdxHeader header, IReadOnlyList<byte[]> copies)
{
    private const long MaxSearched = 2048 * VhdxFormat.MiB;
    private const int EntryLength = 32;

    /// <summary>What was found, in words.</summary>
    public string Description { get; private set; } = "";

    /// <summary>How long the file must be for it.</summary>
    public long Length { get; private set; }

    /// <summary>The table's bytes, or null.</summary>
    public async ValueTask<byte[]?> FindAsync(CancellationToken cancellationToken)
    {
        foreach (var metadata in Candidates(VhdxFormat.MetadataRegion))
        {
            if (!await BeginsWithAsync(metadata.Offset, cancellationToken).ConfigureAwait(false)
                || await TryReadAsync(metadata, cancellationToken).ConfigureAwait(false) is not VhdxMetadata read)
            {
                continue;
            }

            var geometry = read.ToGeometry();
            if (await FindTableAsync(metadata, geometry, cancellationToken).ConfigureAwait(false) is VhdxRegion bat)
                return Describe(bat, metadata);
        }

        return null;
    }

    private byte[] Describe(VhdxRegion bat, VhdxRegion metadata)
    {
        Description = $"metadata at {metadata.Offset}, block table at {bat.Offset}";
        Length = Math.Max(bat.End, metadata.End);
        return VhdxRegionTable.ToBytes(bat, metadata);
    }

    /// <summary>Where a region may be: as a damaged copy says, then every MiB.</summary>
    private IEnumerable<VhdxRegion> Candidates(Guid id)
    {
        foreach (var copy in copies)
        {
            for (var at = 16; at + EntryLength <= 16 + (EntryLength * 64); at += EntryLength)
            {
                var entry = copy.AsSpan(at, EntryLength);
                var region = new VhdxRegion(
                    id, BinaryPrimitives.ReadInt64LittleEndian(entry[16..]), BinaryPrimitives.ReadUInt32LittleEndian(entry[24..]), true);
                if (new Guid(entry[..16]) == id && region.Length > 0 && region.Length % VhdxFormat.MiB == 0 && IsPlausible(region))
                    yield return region;
            }
        }

        for (var offset = VhdxFormat.HeaderSectionEnd; offset < Math.Min(file.Length, MaxSearched); offset += VhdxFormat.MiB)
        {
            var region = new VhdxRegion(id, offset, VhdxFormat.MiB, true);
            if (IsPlausible(region))
                yield return region;
        }
    }

    private bool IsPlausible(VhdxRegion region) =>
        region.Offset >= VhdxFormat.HeaderSectionEnd
        && region.Offset % VhdxFormat.MiB == 0
        && region.Offset < file.Length
        && (region.End <= header.LogOffset || region.Offset >= header.LogOffset + header.LogLength);

    private async ValueTask<bool> BeginsWithAsync(long offset, CancellationToken cancellationToken)
    {
        var start = new byte[VhdxFormat.MetadataSignature.Length];
        if (offset > file.Length - VhdxFormat.MiB)
            return false;
        await file.ReadAsync(offset, start, cancellationToken).ConfigureAwait(false);
        return VhdxFormat.MetadataSignature.SequenceEqual(start);
    }

    private async ValueTask<VhdxMetadata?> TryReadAsync(VhdxRegion region, CancellationToken cancellationToken)
    {
        try
        {
            return await VhdxMetadata.ReadAsync(file, region, cancellationToken).ConfigureAwait(false);
        }
        catch (StorageException e) when (e.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported)
        {
            return null;
        }
    }

    private async ValueTask<VhdxRegion?> FindTableAsync(VhdxRegion metadata, VhdxGeometry geometry, CancellationToken cancellationToken)
    {
        VhdxRegion? found = null;
        foreach (var candidate in Candidates(VhdxFormat.BatRegion))
        {
            var region = candidate with { Length = Math.Max(candidate.Length, geometry.TableLength) };
            if (!IsPlausible(region) || (region.Offset < metadata.End && region.End > metadata.Offset) || region.Offset == found?.Offset)
                continue;
            cancellationToken.ThrowIfCancellationRequested();
            if (!await MakesSenseAsync(region, metadata, geometry, cancellationToken).ConfigureAwait(false))
                continue;
            if (found is not null)
                return null;
            found = region;
        }

        return found;
    }

    private async ValueTask<bool> MakesSenseAsync(
        VhdxRegion region, VhdxRegion metadata, VhdxGeometry geometry, CancellationToken cancellationToken)
    {
        if (region.End > file.Length)
            return false;
        FileClaims? claims = null;
        var (used, isWrong) = (0L, false);
        await new VhdxTablePages(file, region.Offset, geometry).ForEachAsync(Visit, () => isWrong, cancellationToken).ConfigureAwait(false);
        return used > 0 && !isWrong;

        ulong Visit(long index, BatEntry entry)
        {
            var length = BatEntryRules.OwnedLength(geometry, index, entry);
            used += length > 0 ? 1 : 0;
            isWrong |= entry.ReservedBits != 0
                || BatEntryRules.ProblemOf(geometry, index, entry, file.Length) is not null
                || (length > 0 && !(claims ??= ClaimsBeside(region, metadata)).TryClaim(entry.Offset, length, out _));
            return entry.Raw;
        }
    }

    private FileClaims ClaimsBeside(VhdxRegion table, VhdxRegion metadata)
    {
        var claims = new FileClaims();
        foreach (var taken in (VhdxRegion[])[table, metadata, new(Guid.Empty, header.LogOffset, header.LogLength, true)])
            claims.Claim(taken.Offset, taken.Length);
        return claims;
    }
}
