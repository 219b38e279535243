using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>What a VHD says about itself and its parent; reads a few sectors.</summary>
internal static class VhdDescription
{
    public static async ValueTask<ImageDescription> ReadAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var footers = await VhdFooters.ReadAsync(file, VhdxFindings.Strict(file), cancellationToken).ConfigureAwait(false);
        var footer = footers.Current;
        var size = VhdExamination.CheckSize(file, footers);
        var format = footer.Kind switch
        {
            VhdKind.Fixed => ImageFormat.VhdFixed,
            VhdKind.Dynamic => ImageFormat.VhdDynamic,
            _ => ImageFormat.VhdDifferencing,
        };
        var header = footer.Kind == VhdKind.Fixed
            ? null
            : await VhdDynamicHeader.ReadAsync(file, footer, cancellationToken).ConfigureAwait(false);
        return new ImageDescription(format, size, 0, VhdFormat.Sector, VhdFormat.Sector, (int?)header?.BlockSize, footer.Id)
        {
            Linkage = footer.Id,
            Modified = VhdFooter.FromStamp(footer.TimeStamp),
            Parent = footer.Kind == VhdKind.Differencing
                ? await ReadParentAsync(file, header!, footers.End, cancellationToken).ConfigureAwait(false)
                : null,
        };
    }

    private static async ValueTask<ParentLink> ReadParentAsync(
        IStorageFile file, VhdDynamicHeader header, long end, CancellationToken cancellationToken)
    {
        var paths = new List<ParentPath>();
        for (var index = 0; index < VhdFormat.LocatorCount; index++)
        {
            var locator = header.Locator(index);

            // A locator that points nowhere is no reason to refuse the disk: another one may find the parent.
            if (!locator.IsUnderstood || !locator.HasPathBefore(end))
                continue;
            var bytes = new byte[locator.Length];
            await file.ReadAsync((long)locator.Offset, bytes, cancellationToken).ConfigureAwait(false);
            if (locator.Decode(bytes) is { Text.Length: > 0 } path)
                paths.Add(path);
        }

        if (header.ParentName is { Length: > 0 } name)
            paths.Add(new ParentPath(ParentPathKind.Name, name));
        return new ParentLink(header.ParentId, Alternate: null, VhdFooter.FromStamp(header.ParentStamp), paths);
    }
}
