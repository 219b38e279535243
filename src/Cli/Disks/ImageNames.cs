using Godwit.Api.Disks;
using Godwit.Storage;
using Godwit.Storage.Files;

namespace Godwit.Cli.Disks;

/// <summary>What a file's name promises about its content.</summary>
internal static class ImageNames
{
    /// <summary>Refuses a file that is called VHDX and is none. Without a signature it would pass as a raw image, where
    /// nothing can be wrong, and a damaged file would be reported as sound.</summary>
    /// <param name="path">The file.</param>
    /// <param name="format">What the user says it is; then the name promises nothing.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.Corrupt"/>: the name ends with ".vhdx" and the file
    /// does not begin with the signature ([MS-VHDX] 2.2.1); or it cannot be read.</exception>
    public static async Task RequireContentAsync(string path, DiskFormat? format, CancellationToken cancellationToken)
    {
        if (format is not null || !path.EndsWith(".vhdx", StringComparison.OrdinalIgnoreCase))
            return;
        var start = new byte[8];
        await using (var file = LocalFile.Open(path, readOnly: true))
        {
            if (file.Length >= start.Length)
                await file.ReadAsync(0, start, cancellationToken);
        }

        if (!start.AsSpan().SequenceEqual("vhdxfile"u8))
        {
            throw new StorageException(
                StorageErrorKind.Corrupt,
                "this is no VHDX: it does not begin with the signature \"vhdxfile\" (for a raw image give --format raw)",
                path,
                0);
        }
    }
}
