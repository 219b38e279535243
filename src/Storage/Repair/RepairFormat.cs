using Godwit.Storage.Files;
using Godwit.Storage.Formats;

namespace Godwit.Storage.Repair;

/// <summary>Tells what a damaged file is meant to be.</summary>
internal static class RepairFormat
{
    /// <summary>By what is said, then by the content, then by the name: damage may have taken every mark.</summary>
    /// <exception cref="StorageException">Unsupported: nothing says VHDX or VHD.</exception>
    public static async ValueTask<ImageFormat> TellAsync(IStorageFile file, ImageFormat? expected, CancellationToken cancellationToken)
    {
        if (file.Length == 0)
            throw new StorageException(StorageErrorKind.Unsupported, "the file is empty: there is nothing to repair", file.Path, operation: "repair");
        var family = expected is ImageFormat known ? ImageProbe.FamilyOf(known) : await FamilyOfAsync(file, cancellationToken).ConfigureAwait(false);
        return family switch
        {
            "VHDX" => ImageFormat.VhdxDynamic,
            "VHD" => ImageFormat.VhdDynamic,
            _ => throw new StorageException(
                StorageErrorKind.Unsupported,
                "neither content nor name say that this is a VHDX or VHD, and only these can be repaired (give --format when it is one)",
                file.Path,
                operation: "repair"),
        };
    }

    private static async ValueTask<string> FamilyOfAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var detected = await ImageSignatures.DetectAsync(file, cancellationToken).ConfigureAwait(false);
        return detected.Kind switch
        {
            ImageKind.Vhdx or ImageKind.DamagedVhdx => "VHDX",
            ImageKind.Vhd => "VHD",
            _ => Path.GetExtension(file.Path).ToUpperInvariant() switch
            {
                ".VHDX" or ".AVHDX" => "VHDX",
                ".VHD" or ".AVHD" => "VHD",
                _ => "raw",
            },
        };
    }
}
