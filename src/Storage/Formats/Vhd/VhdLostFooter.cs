using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Finds the footer of a fixed disk whose growth was cut off after the file had become longer.</summary>
/// <remarks>The old footer is then the last sector that is not zero: everything behind it is new. A guest cannot put bytes of
/// its own there, because the old footer ends the part it can write to and is zeroed only once the new one is stable.</remarks>
internal static class VhdLostFooter
{
    private const int Step = 64 << 10;

    /// <summary>The footer, or null when the last bytes that are not zero are something else.</summary>
    public static async ValueTask<VhdFooters?> FindAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var buffer = GC.AllocateUninitializedArray<byte>(Step);
        var end = await EndOfDataAsync(file, cancellationToken).ConfigureAwait(false);
        while (end > 0)
        {
            var part = buffer.AsMemory(0, (int)Math.Min(Step, end));
            await file.ReadAsync(end - part.Length, part, cancellationToken).ConfigureAwait(false);
            var last = part.Span.LastIndexOfAnyExcept((byte)0);
            if (last >= 0)
                return await ReadAtAsync(file, (end - part.Length + last) / VhdFormat.Sector * VhdFormat.Sector, cancellationToken).ConfigureAwait(false);
            end -= part.Length;
        }

        return null;
    }

    private static async ValueTask<VhdFooters?> ReadAtAsync(IStorageFile file, long offset, CancellationToken cancellationToken)
    {
        var bytes = new byte[VhdFormat.FooterLength];
        if (offset + bytes.Length > file.Length)
            return null;
        await file.ReadAsync(offset, bytes, cancellationToken).ConfigureAwait(false);
        return VhdFooter.TryParse(bytes, out _) is { Kind: VhdKind.Fixed } footer && footer.DiskSize <= (ulong)offset
            ? new VhdFooters(footer, offset, IsInPlace: false, HasCopy: false)
            : null;
    }

    /// <summary>Skips what the file system knows to be zero; the new part may be very long.</summary>
    private static async ValueTask<long> EndOfDataAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        long end = 0;
        for (long at = 0; at < file.Length;)
        {
            var run = await file.GetExtentAsync(at, file.Length - at, cancellationToken).ConfigureAwait(false);
            at = run.End;
            if (!run.ReadsAsZeroes)
                end = Math.Min(VhdFormat.AlignUp(at, VhdFormat.Sector), file.Length);
        }

        return end;
    }
}
