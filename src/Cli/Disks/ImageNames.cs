using Godwit.Api.Disks;
using Godwit.Storage;
using Godwit.Storage.Files;

namespace Godwit.Cli.Disks;

/// <summary>What a file's name promises about its content.</summary>
internal static class ImageNames
{
    /// <summary>Refuses a file that is called VHDX or VHD and is none. Without a signature it would pass as a raw image, where
    /// nothing can be wrong, and a damaged file would be reported as sound.</summary>
    /// <param name="path">The file.</param>
    /// <param name="format">What the user says it is; then the name promises nothing.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.Corrupt"/>: the signature that the name promises is not there
    /// ([MS-VHDX] 2.2.1; VHD specification, "Hard Disk Footer Format"); or the file cannot be read.</exception>
    public static async Task RequireContentAsync(string path, DiskFormat? format, CancellationToken cancellationToken)
    {
        if (format is not null)
            return;
        if (Ends(path, ".vhdx") || Ends(path, ".avhdx"))
        {
            if (!await HasAsync(path, "vhdxfile"u8.ToArray(), fromEnd: null, cancellationToken))
                throw NotThat(path, "VHDX: it does not begin with the signature \"vhdxfile\"");
        }
        else if ((Ends(path, ".vhd") || Ends(path, ".avhd")) && !await IsVhdAsync(path, cancellationToken))
        {
            throw NotThat(path, "VHD: it has the signature \"conectix\" neither at its start nor in its last sector");
        }
    }

    private static bool Ends(string path, string extension) => path.EndsWith(extension, StringComparison.OrdinalIgnoreCase);

    // Old versions of Virtual PC wrote a footer one byte short.
    private static async Task<bool> IsVhdAsync(string path, CancellationToken cancellationToken)
    {
        var signature = "conectix"u8.ToArray();
        return await HasAsync(path, signature, fromEnd: null, cancellationToken)
            || await HasAsync(path, signature, fromEnd: 512, cancellationToken)
            || await HasAsync(path, signature, fromEnd: 511, cancellationToken);
    }

    private static async Task<bool> HasAsync(string path, byte[] signature, int? fromEnd, CancellationToken cancellationToken)
    {
        var found = new byte[signature.Length];
        await using var file = LocalFile.Open(path, readOnly: true);
        var at = fromEnd is int end ? file.Length - end : 0;
        if (at < 0 || at + found.Length > file.Length)
            return false;
        await file.ReadAsync(at, found, cancellationToken);
        return found.AsSpan().SequenceEqual(signature);
    }

    private static StorageException NotThat(string path, string what) =>
        new(StorageErrorKind.Corrupt, $"this is no {what} (for a raw image give --format raw)", path, 0);
}
