using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhd;

namespace Godwit.Storage.Repair;

/// <summary>Looks for footers and dynamic headers where they are not expected. Never writes.</summary>
internal static class VhdFooterSearch
{
    private const long MaxBehind = 256L << 20;
    private const int MaxFront = 1 << 20;
    private const int Step = 1 << 20;

    /// <summary>The last footer with something behind it that fits the file: that of a fixed disk stands exactly behind the disk, so a
    /// disk inside the disk is not mistaken for it; that of another one leads to a dynamic header.</summary>
    public static async ValueTask<VhdFooters?> FindDisplacedAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var buffer = new byte[Step];
        var end = VhdFormat.AlignUp(file.Length, VhdFormat.Sector);
        for (var stop = Math.Max(0, end - MaxBehind); end > stop;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var start = Math.Max(stop, end - Step);
            var part = buffer.AsMemory(0, (int)(Math.Min(end, file.Length) - start));
            await file.ReadAsync(start, part, cancellationToken).ConfigureAwait(false);
            for (var at = part.Length / VhdFormat.Sector * VhdFormat.Sector - VhdFormat.Sector; at >= 0; at -= VhdFormat.Sector)
            {
                if (VhdFooter.TryParse(part.Span.Slice(at, VhdFormat.FooterLength), out _) is VhdFooter footer
                    && await FitsAsync(file, footer, start + at, cancellationToken).ConfigureAwait(false))
                {
                    return new VhdFooters(footer, start + at, IsInPlace: true, HasCopy: false);
                }
            }

            end = start;
        }

        return null;
    }

    /// <summary>A footer's dynamic header is there and sound.</summary>
    public static async ValueTask<bool> HasHeaderAsync(IStorageFile file, VhdFooter footer, CancellationToken cancellationToken)
    {
        try
        {
            var header = await VhdDynamicHeader.ReadAsync(file, footer, cancellationToken).ConfigureAwait(false);
            return header.MaxEntries * (long)header.BlockSize >= (long)Math.Min(footer.DiskSize, long.MaxValue);
        }
        catch (StorageException e) when (e.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported)
        {
            return false;
        }
    }

    /// <summary>A sound dynamic header in the first MiB, and where it is.</summary>
    public static async ValueTask<(long Offset, VhdDynamicHeader Header)?> FindHeaderAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var front = new byte[Math.Min(MaxFront, file.Length)];
        await file.ReadAsync(0, front, cancellationToken).ConfigureAwait(false);
        for (var at = 0; at + VhdFormat.HeaderLength <= front.Length; at += VhdFormat.Sector)
        {
            if (!front.AsSpan(at).StartsWith(VhdFormat.HeaderCookie))
                continue;
            var footer = VhdFooter.Create(VhdKind.Dynamic, VhdFormat.Sector, Guid.Empty, 0).WithDataOffset(at);
            if (await HasHeaderAsync(file, footer, cancellationToken).ConfigureAwait(false))
                return (at, await VhdDynamicHeader.ReadAsync(file, footer, cancellationToken).ConfigureAwait(false));
        }

        return null;
    }

    private static async ValueTask<bool> FitsAsync(IStorageFile file, VhdFooter footer, long offset, CancellationToken cancellationToken) =>
        footer.Kind == VhdKind.Fixed
            ? footer.DiskSize == (ulong)offset
            : offset > 0 && await HasHeaderAsync(file, footer, cancellationToken).ConfigureAwait(false)
                && await IsExactAsync(file, footer, cancellationToken).ConfigureAwait(false);

    /// <summary>The disk fills its table: the footer of a disk inside this one hardly says that.</summary>
    private static async ValueTask<bool> IsExactAsync(IStorageFile file, VhdFooter footer, CancellationToken cancellationToken)
    {
        var header = await VhdDynamicHeader.ReadAsync(file, footer, cancellationToken).ConfigureAwait(false);
        return new VhdBlocks((long)footer.DiskSize, (int)header.BlockSize).Count == header.MaxEntries;
    }
}
