using System.Buffers.Binary;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Repair;

/// <summary>Goes through a block allocation table page by page and changes it where told. Memory: one page.</summary>
/// <param name="file">The file.</param>
/// <param name="offset">Where the table is.</param>
/// <param name="geometry">The disk.</param>
internal sealed class VhdxTablePages(IStorageFile file, long offset, VhdxGeometry geometry)
{
    /// <summary>Visits every entry that is not all zero, in order.</summary>
    /// <param name="visit">Gets index and entry, answers what the entry is to be.</param>
    /// <param name="stop">Asked after each page.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async ValueTask ForEachAsync(Func<long, BatEntry, ulong> visit, Func<bool> stop, CancellationToken cancellationToken)
    {
        // Most tables a search tries are holes: those cost no memory.
        byte[]? page = null;
        var length = geometry.EntryCount * sizeof(ulong);
        for (long at = 0; at < length && !stop();)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var run = await file.GetExtentAsync(offset + at, length - at, cancellationToken).ConfigureAwait(false);
            if (run.ReadsAsZeroes && (run.Length >= VhdxFormat.PageSize || run.Length == length - at))
            {
                at += run.Length == length - at ? run.Length : VhdxFormat.AlignDown(run.Length, VhdxFormat.PageSize);
                continue;
            }

            page ??= new byte[VhdxFormat.PageSize];
            var part = page.AsMemory(0, (int)Math.Min(page.Length, length - at));
            await file.ReadAsync(offset + at, part, cancellationToken).ConfigureAwait(false);
            if (Visit(at / sizeof(ulong), part.Span, visit))
                await file.WriteAsync(offset + at, part, cancellationToken).ConfigureAwait(false);
            at += part.Length;
        }
    }

    private static bool Visit(long first, Span<byte> page, Func<long, BatEntry, ulong> visit)
    {
        var changed = false;
        for (var at = 0; at < page.Length; at += sizeof(ulong))
        {
            var raw = BinaryPrimitives.ReadUInt64LittleEndian(page[at..]);
            if (raw == 0)
                continue;
            var wanted = visit(first + (at / sizeof(ulong)), new BatEntry(raw));
            changed |= wanted != raw;
            BinaryPrimitives.WriteUInt64LittleEndian(page[at..], wanted);
        }

        return changed;
    }
}
