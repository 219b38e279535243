using Godwit.Api.Disks;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;

namespace Godwit.Worker.Serving;

/// <summary>The two names of an image format: in the storage layer and on the wire.</summary>
internal static class Formats
{
    internal static ImageFormat ToStorage(this DiskFormat format) => format switch
    {
        DiskFormat.VhdxDynamic => ImageFormat.VhdxDynamic,
        DiskFormat.VhdxFixed => ImageFormat.VhdxFixed,
        DiskFormat.VhdxDifferencing => ImageFormat.VhdxDifferencing,
        DiskFormat.VhdFixed => ImageFormat.VhdFixed,
        DiskFormat.VhdDynamic => ImageFormat.VhdDynamic,
        DiskFormat.VhdDifferencing => ImageFormat.VhdDifferencing,
        _ => ImageFormat.Raw,
    };

    internal static FileCache ToStorage(this DiskCache? cache) => cache == DiskCache.None ? FileCache.None : FileCache.Writeback;

    internal static DiskFormat ToApi(this ImageFormat format) => format switch
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
