using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>Everything there is to be known about an image without its block table in memory, checked.</summary>
/// <param name="Footers">The footer that rules.</param>
/// <param name="DiskSize">Bytes of the disk.</param>
/// <param name="Sparse">What a dynamic or differencing disk has on top; null for a fixed one.</param>
internal sealed record VhdExamination(VhdFooters Footers, long DiskSize, VhdExaminedBlocks? Sparse)
{
    /// <summary>Reads and checks an image.</summary>
    public static async ValueTask<VhdExamination> RunAsync(IStorageFile file, VhdxFindings findings, CancellationToken cancellationToken)
    {
        var footers = await VhdFooters.ReadAsync(file, findings, cancellationToken).ConfigureAwait(false);
        var size = CheckSize(file, footers);
        if (footers.Current.IsSavedState)
            findings.Information(footers.End, "the disk belongs to a virtual machine in saved state; changing it may break that state");
        if (footers.Current.SizeIsGeometry && footers.Current.CurrentSize != (ulong)size)
        {
            findings.Information(footers.End,
                $"the footer says {footers.Current.CurrentSize} bytes, the geometry {size}; the creator \"{footers.Current.Creator}\" goes by the geometry");
        }

        if (footers.Current.Kind == VhdKind.Fixed)
            return new VhdExamination(footers, size, null);
        var header = await VhdDynamicHeader.ReadAsync(file, footers.Current, cancellationToken).ConfigureAwait(false);
        var blocks = new VhdBlocks(size, (int)header.BlockSize);
        var entries = VhdTableEntries.Of(file, header, blocks.Count, footers.End);
        var layout = await VhdLayout.ExamineAsync(footers, header, blocks, entries, findings, cancellationToken).ConfigureAwait(false);
        return new VhdExamination(footers, size, new VhdExaminedBlocks(header, blocks, entries, layout));
    }

    /// <summary>The size of the disk, checked for what this program can handle and the file can hold.</summary>
    public static long CheckSize(IStorageFile file, VhdFooters footers)
    {
        var size = footers.Current.DiskSize;
        if (size > VhdFormat.MaxDiskSize)
            throw Refuse(StorageErrorKind.Unsupported, $"the disk has {size} bytes, the format's limit is 2040 GiB");
        if (size == 0 || size % VhdFormat.Sector != 0)
            throw Refuse(StorageErrorKind.Corrupt, $"the disk has {size} bytes, which is not whole sectors above zero");
        if (footers.Current.Kind == VhdKind.Fixed && size > (ulong)footers.End)
            throw Refuse(StorageErrorKind.Corrupt, $"the fixed disk has {size} bytes, but the file only {footers.End} in front of its footer; a part of it is missing");
        return (long)size;

        StorageException Refuse(StorageErrorKind kind, string reason) => new(kind, reason, file.Path, footers.End, "open");
    }
}

/// <summary>What is known about the blocks of a dynamic or differencing disk.</summary>
internal sealed record VhdExaminedBlocks(VhdDynamicHeader Header, VhdBlocks Blocks, VhdTableEntries Entries, VhdLayout Layout);
