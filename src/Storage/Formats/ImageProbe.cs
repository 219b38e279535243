using Godwit.Storage.Files;

namespace Godwit.Storage.Formats;

/// <summary>Tells the format of a file that is open, or refuses it in words a person can act on.</summary>
internal static class ImageProbe
{
    /// <summary>The expected format, or the one the content shows. VHDX dynamic and VHD dynamic stand for every kind of their
    /// family; the image itself says which kind it is.</summary>
    /// <exception cref="StorageException">Corrupt: empty, or damaged where its format is told; Unsupported: another format.</exception>
    public static async ValueTask<ImageFormat> TellAsync(
        IStorageFile file, ImageFormat? expected, CancellationToken cancellationToken)
    {
        if (file.Length == 0)
        {
            throw new StorageException(
                StorageErrorKind.Corrupt, "the file is empty, so it is no disk image", file.Path, operation: "open");
        }

        if (expected is ImageFormat known)
            return known;
        var detected = await ImageSignatures.DetectAsync(file, cancellationToken).ConfigureAwait(false);
        return detected.Kind switch
        {
            ImageKind.Raw => ImageFormat.Raw,
            ImageKind.Vhdx => ImageFormat.VhdxDynamic,
            ImageKind.Vhd => ImageFormat.VhdDynamic,
            ImageKind.DamagedVhdx => throw new StorageException(
                StorageErrorKind.Corrupt,
                "headers of a VHDX are there but its first sector is damaged; godwit disk repair writes it again, "
                + "or name the format raw if it is a raw disk",
                file.Path,
                detected.Offset,
                "open"),
            _ => throw new StorageException(
                StorageErrorKind.Unsupported,
                $"this looks like a {detected.Name} image, which Godwit does not read; convert it, "
                + "or name the format raw if it is a raw disk",
                file.Path,
                detected.Offset,
                "open"),
        };
    }

    /// <summary>"VHDX", "VHD" or "raw": the kinds of a family can be each other's parents.</summary>
    public static string FamilyOf(ImageFormat format) => format switch
    {
        ImageFormat.VhdxDynamic or ImageFormat.VhdxFixed or ImageFormat.VhdxDifferencing => "VHDX",
        ImageFormat.VhdDynamic or ImageFormat.VhdFixed or ImageFormat.VhdDifferencing => "VHD",
        _ => "raw",
    };
}
