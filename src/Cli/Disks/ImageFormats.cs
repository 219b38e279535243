using Godwit.Api.Disks;
using Godwit.Storage.Formats;

namespace Godwit.Cli.Disks;

/// <summary>Between the Api's names for formats and the disk stack's.</summary>
internal static class ImageFormats
{
    /// <summary>The disk stack's name.</summary>
    public static ImageFormat ToImage(DiskFormat format) => format switch
    {
        DiskFormat.VhdxDynamic => ImageFormat.VhdxDynamic,
        DiskFormat.VhdxFixed => ImageFormat.VhdxFixed,
        DiskFormat.VhdxDifferencing => ImageFormat.VhdxDifferencing,
        DiskFormat.VhdFixed => ImageFormat.VhdFixed,
        DiskFormat.VhdDynamic => ImageFormat.VhdDynamic,
        DiskFormat.VhdDifferencing => ImageFormat.VhdDifferencing,
        _ => ImageFormat.Raw,
    };

    /// <summary>The disk stack's name, or null where none was given.</summary>
    public static ImageFormat? ToImage(DiskFormat? format) => format is DiskFormat given ? ToImage(given) : null;

    /// <summary>The Api's name.</summary>
    public static DiskFormat ToApi(ImageFormat format) => format switch
    {
        ImageFormat.VhdxDynamic => DiskFormat.VhdxDynamic,
        ImageFormat.VhdxFixed => DiskFormat.VhdxFixed,
        ImageFormat.VhdxDifferencing => DiskFormat.VhdxDifferencing,
        ImageFormat.VhdFixed => DiskFormat.VhdFixed,
        ImageFormat.VhdDynamic => DiskFormat.VhdDynamic,
        ImageFormat.VhdDifferencing => DiskFormat.VhdDifferencing,
        _ => DiskFormat.Raw,
    };
}
