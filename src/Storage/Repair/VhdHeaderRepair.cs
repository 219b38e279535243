using System.Buffers.Binary;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Repair;

/// <summary>Puts a dynamic header right with what the footer and the block table tell.</summary>
/// <remarks>VHD specification 1.0, "Dynamic Disk Header Format". Where the table is and how large blocks are stands there only; but a
/// wrong guess makes blocks overlap or reach past the end, so a guess under which all of the table makes sense is the right one.</remarks>
internal static class VhdHeaderRepair
{
    private const int PieceLength = 64 << 10;
    private static readonly int[] BlockSizes = [2 << 20, 512 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20, 32 << 20, 256 << 10, 128 << 10, 64 << 10];

    /// <summary>Makes the header valid.</summary>
    /// <returns>It, or null when nothing that fits was found.</returns>
    public static async ValueTask<VhdDynamicHeader?> RunAsync(RepairWork work, VhdFooters footers, long size, CancellationToken cancellationToken)
    {
        StorageException problem;
        try
        {
            var header = await VhdDynamicHeader.ReadAsync(work.File, footers.Current, cancellationToken).ConfigureAwait(false);
            VhdTableEntries.Of(work.File, header, new VhdBlocks(size, (int)header.BlockSize).Count, footers.End);
            return header;
        }
        catch (StorageException e) when (e.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported)
        {
            problem = e;
        }

        var at = footers.Current.DataOffset;
        if (problem.Kind == StorageErrorKind.Unsupported || at % VhdFormat.Sector != 0 || at > (ulong)Math.Max(0, footers.End - VhdFormat.HeaderLength))
        {
            work.Impossible(problem.Offset, problem.Reason, "nothing else in the file tells what stood there; take the image from a backup");
            return null;
        }

        var found = new byte[VhdFormat.HeaderLength];
        await work.File.ReadAsync((long)at, found, cancellationToken).ConfigureAwait(false);
        if (await FindAsync(work, footers, size, found, cancellationToken).ConfigureAwait(false) is not (VhdDynamicHeader mended, bool isSure))
        {
            work.Impossible(problem.Offset, problem.Reason, "no place and block size were found with which the block table makes sense; take the image from a backup");
            return null;
        }

        return await WriteAsync(work, footers, problem, mended, isSure, cancellationToken).ConfigureAwait(false) ? mended : null;
    }

    private static async ValueTask<bool> WriteAsync(
        RepairWork work, VhdFooters footers, StorageException problem, VhdDynamicHeader mended, bool isSure, CancellationToken cancellationToken)
    {
        var at = (long)footers.Current.DataOffset;
        var what = $"written again: block table at {mended.TableOffset}, {mended.MaxEntries} entries, blocks of {mended.BlockSize} bytes, with which all of the table makes sense";
        if (footers.Current.Kind == VhdKind.Differencing)
            what += "; what it says about the parent is kept and cannot be vouched for: godwit disk set-parent writes it again";
        if (isSure && footers.Current.Kind == VhdKind.Dynamic)
            work.Mended(at, problem.Reason, what);
        else if (!work.MayGiveUp(at, problem.Reason, what))
            return false;
        await work.File.WriteAsync(at, mended.ToBytes(), cancellationToken).ConfigureAwait(false);
        return true;
    }

    /// <summary>The first guess that fits, and whether the table has enough in it to tell.</summary>
    private static async ValueTask<(VhdDynamicHeader Header, bool IsSure)?> FindAsync(
        RepairWork work, VhdFooters footers, long size, byte[] found, CancellationToken cancellationToken)
    {
        var (tableOffset, entries, blockSize) = VhdDynamicHeader.Peek(found);
        var usual = (long)footers.Current.DataOffset + VhdFormat.HeaderLength;
        var isOwnSize = VhdFormat.IsPowerOfTwo(blockSize) && blockSize is >= VhdFormat.Sector and <= VhdFormat.MaxBlockSize;
        foreach (var candidate in isOwnSize ? [(int)blockSize, .. BlockSizes] : BlockSizes)
        {
            foreach (var place in tableOffset < (ulong)footers.End && tableOffset % VhdFormat.Sector == 0 ? [(long)tableOffset, usual] : new[] { usual })
            {
                var blocks = new VhdBlocks(size, candidate);
                foreach (var count in entries >= blocks.Count && entries < VhdFormat.MaxTableLength / sizeof(uint) ? [entries, blocks.Count] : new[] { blocks.Count })
                {
                    var header = VhdDynamicHeader.Mended(found, footers.Current.Kind == VhdKind.Differencing, place, count, candidate);
                    if (await TryAsync(work, footers, header, blocks, cancellationToken).ConfigureAwait(false) is not long present)
                        continue;

                    // Fields as they stood need no more proof than that they fit; others need blocks that would not fit otherwise.
                    var own = candidate == blockSize && place == (long)tableOffset && count == entries;
                    return (header, own || present > 1);
                }
            }
        }

        return null;
    }

    /// <summary>How many blocks the table has when this is its header; null when the table makes no sense then.</summary>
    private static async ValueTask<long?> TryAsync(
        RepairWork work, VhdFooters footers, VhdDynamicHeader header, VhdBlocks blocks, CancellationToken cancellationToken)
    {
        if (!await IsPlausibleAsync(work.File, (long)header.TableOffset, blocks, footers.End, cancellationToken).ConfigureAwait(false))
            return null;
        try
        {
            var entries = VhdTableEntries.Of(work.File, header, blocks.Count, footers.End);
            var layout = await VhdLayout.ExamineAsync(
                footers, header, blocks, entries, VhdxFindings.Strict(work.File), cancellationToken).ConfigureAwait(false);
            return layout.PresentBlocks;
        }
        catch (StorageException e) when (e.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported)
        {
            return null;
        }
    }

    /// <summary>Whether every entry is free or names something in front of the end: what most wrong guesses fail at soon, told without the
    /// memory that a whole table takes.</summary>
    private static async ValueTask<bool> IsPlausibleAsync(
        DraftFile file, long place, VhdBlocks blocks, long end, CancellationToken cancellationToken)
    {
        var length = blocks.Count * sizeof(uint);
        if (length > VhdFormat.MaxTableLength || place > end - length)
            return false;
        var buffer = new byte[Math.Min(length, PieceLength)];
        for (long at = 0; at < length; at += buffer.Length)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var piece = buffer.AsMemory(0, (int)Math.Min(buffer.Length, length - at));
            await file.ReadAsync(place + at, piece, cancellationToken).ConfigureAwait(false);
            if (!AreFreeOrInside(piece.Span, end))
                return false;
        }

        return true;
    }

    private static bool AreFreeOrInside(ReadOnlySpan<byte> entries, long end)
    {
        for (var at = 0; at < entries.Length; at += sizeof(uint))
        {
            var sector = BinaryPrimitives.ReadUInt32BigEndian(entries[at..]);
            if (sector == 0 || (sector != uint.MaxValue && (long)sector * VhdFormat.Sector >= end))
                return false;
        }

        return true;
    }
}
