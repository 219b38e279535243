using System.Buffers.Binary;
using Godwit.Storage.Formats.Vhd;

namespace Godwit.Storage.Repair;

/// <summary>When neither the last sector nor the first one is a footer: looks for one that something was written behind, for one that
/// is only damaged, and makes a new one when the rest of the file tells what it said.</summary>
internal static class VhdLostFooterRepair
{
    private const int DataOffsetAt = 16;
    private const int CurrentSizeAt = 48;
    private const int KindAt = 60;
    private const int ChecksumAt = 64;

    /// <summary>Finds or makes a footer.</summary>
    /// <param name="work">The repair.</param>
    /// <param name="none">What is said when there is none.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask<VhdFooters?> RunAsync(RepairWork work, StorageException none, CancellationToken cancellationToken)
    {
        if (await VhdFooterSearch.FindDisplacedAsync(work.File, cancellationToken).ConfigureAwait(false) is VhdFooters displaced)
            return await UncoverAsync(work, displaced, cancellationToken).ConfigureAwait(false);
        if (await ReadDamagedAsync(work, 0, cancellationToken).ConfigureAwait(false) is { Kind: not VhdKind.Fixed } copy
            && await VhdFooterSearch.HasHeaderAsync(work.File, copy, cancellationToken).ConfigureAwait(false))
        {
            return Resealed(work, copy, work.File.Length, 0);
        }

        var last = work.File.Length - VhdFormat.FooterLength;
        if (last >= 0 && last % VhdFormat.Sector == 0
            && await ReadDamagedAsync(work, last, cancellationToken).ConfigureAwait(false) is VhdFooter tail && await FitsAsync(work, tail, last, cancellationToken).ConfigureAwait(false))
        {
            if (tail.Kind != VhdKind.Fixed)
                return Resealed(work, tail, work.File.Length, last);
            await work.File.WriteAsync(last, tail.ToBytes(), cancellationToken).ConfigureAwait(false);
            work.Mended(last, "the footer is damaged, but its type and size fit the file", "its signature and checksum are written again");
            return new VhdFooters(tail, last, IsInPlace: true, HasCopy: false);
        }

        if (await VhdFooterSearch.FindHeaderAsync(work.File, cancellationToken).ConfigureAwait(false) is (long at, VhdDynamicHeader header))
            return FromHeader(work, none, at, header);
        return await FromLengthAsync(work, none, cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask<VhdFooters> UncoverAsync(RepairWork work, VhdFooters found, CancellationToken cancellationToken)
    {
        if (found.Current.Kind != VhdKind.Fixed)
        {
            // It may be one that a growing file has left behind, with blocks after it: what it says counts, not where it is.
            work.Mended(found.End, "the footer at the end and its copy are damaged, but this one is left, and the dynamic header fits it",
                "footer and copy are written again from it; what is behind the last block is cut off");
            return found with { End = work.File.Length, IsInPlace = false };
        }

        var surplus = work.File.Length - found.End - VhdFormat.FooterLength;
        work.Mended(found.End, $"{surplus} bytes are behind the footer", "they are cut off");
        await work.File.SetLengthAsync(found.End + VhdFormat.FooterLength, cancellationToken).ConfigureAwait(false);
        return found;
    }

    /// <summary>The footer these bytes are when signature, version and checksum are put right; the rest is as it was.</summary>
    private static async ValueTask<VhdFooter?> ReadDamagedAsync(RepairWork work, long offset, CancellationToken cancellationToken)
    {
        var bytes = new byte[VhdFormat.FooterLength];
        if (offset > work.File.Length - bytes.Length)
            return null;
        await work.File.ReadAsync(offset, bytes, cancellationToken).ConfigureAwait(false);
        VhdFormat.FooterCookie.CopyTo(bytes);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(12), VhdFormat.Version);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(ChecksumAt), VhdFormat.Checksum(bytes, ChecksumAt));
        var size = BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(CurrentSizeAt));
        return size > 0 && size % VhdFormat.Sector == 0 && size <= (ulong)VhdFormat.MaxDiskSize
            && BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(KindAt)) is >= 2 and <= 4
            && BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(DataOffsetAt)) is var data && (data == VhdFormat.NoOffset || data % VhdFormat.Sector == 0)
            ? VhdFooter.TryParse(bytes, out _) : null;
    }

    private static async ValueTask<bool> FitsAsync(RepairWork work, VhdFooter footer, long offset, CancellationToken cancellationToken) =>
        footer.Kind == VhdKind.Fixed
            ? footer.DiskSize == (ulong)offset
            : await VhdFooterSearch.HasHeaderAsync(work.File, footer, cancellationToken).ConfigureAwait(false);

    private static VhdFooters Resealed(RepairWork work, VhdFooter footer, long end, long offset)
    {
        work.Mended(offset, "the footer and its copy are damaged, but one of them leads to the dynamic header and fits it",
            "signature and checksum are put right, and both are written again");
        return new VhdFooters(footer, end, IsInPlace: false, HasCopy: false);
    }

    private static VhdFooters? FromHeader(RepairWork work, StorageException none, long at, VhdDynamicHeader header)
    {
        var size = Math.Min(header.MaxEntries * (long)header.BlockSize, VhdFormat.MaxDiskSize);
        var kind = header.ParentId == Guid.Empty ? VhdKind.Dynamic : VhdKind.Differencing;
        if (size == 0 || !work.MayGiveUp(none.Offset, none.Reason,
            $"a new footer is made from the dynamic header at {at}: the disk gets {size} bytes, which may be up to a block more than it had"
            + (kind == VhdKind.Differencing ? "" : "; if it has children they need godwit disk set-parent")))
        {
            return null;
        }

        var footer = VhdFooter.Create(kind, size, work.Options.NewGuid(), 0);
        return new VhdFooters(at == VhdFormat.FooterLength ? footer : footer.WithDataOffset(at), work.File.Length, IsInPlace: false, HasCopy: false);
    }

    private static async ValueTask<VhdFooters?> FromLengthAsync(RepairWork work, StorageException none, CancellationToken cancellationToken)
    {
        // Disks are made in whole MiB, so one sector more is a footer that was overwritten, and none more one that was cut off.
        const int MiB = 1 << 20;
        var size = work.File.Length / MiB * MiB;
        if (size == 0 || work.File.Length - size is not (0 or VhdFormat.FooterLength))
        {
            work.Impossible(none.Offset, none.Reason,
                "no footer, copy or dynamic header is left, and the length does not tell the size of a fixed disk; \"godwit disk convert --source-format raw\" takes the bytes as they are");
            return null;
        }

        if (!work.MayGiveUp(none.Offset, none.Reason,
            $"taken for a fixed disk of {size} bytes, as its length says, with a new footer behind; no byte of the disk changes, but its identity is a new one"))
        {
            return null;
        }

        var footer = VhdFooter.Create(VhdKind.Fixed, size, work.Options.NewGuid(), 0);
        await work.File.WriteAsync(size, footer.ToBytes(), cancellationToken).ConfigureAwait(false);
        return new VhdFooters(footer, size, IsInPlace: true, HasCopy: false);
    }
}
