namespace Godwit.Storage.FileSystems;

/// <summary>What was found in a partition.</summary>
/// <param name="Name">The file system or container, or null for something unknown.</param>
/// <param name="Space">Its free space; null when it must not be used.</param>
/// <param name="Reason">Why not, in a sentence without the name; null when it is used.</param>
internal sealed record FileSystemFinding(string? Name, FreeSpace? Space, string? Reason);

/// <summary>Tells what file system a partition holds and opens the map of its free space.</summary>
internal static class FileSystemProbe
{
    private const int BootLength = 512;

    /// <summary>Looks at a partition.</summary>
    /// <returns>What it is; a damaged or unclean file system is no exception but a reason.</returns>
    /// <exception cref="StorageException">The disk could not be read.</exception>
    public static async ValueTask<FileSystemFinding> OpenAsync(PartitionReader reader, CancellationToken cancellationToken)
    {
        if (reader.Length < 4096)
            return new FileSystemFinding(null, null, "it is too small for a file system");
        if (await ForeignSignatures.FindAsync(reader, cancellationToken).ConfigureAwait(false) is string foreign)
            return new FileSystemFinding(foreign, null, "its free space is not known to this program");
        var boot = await reader.ReadAsync(0, BootLength, cancellationToken).ConfigureAwait(false);
        var names = await NamesAsync(reader, boot, cancellationToken).ConfigureAwait(false);
        if (names.Count == 0)
            return new FileSystemFinding(null, null, "no known file system was found in it");
        if (names.Count > 1)
            return new FileSystemFinding(null, null, $"it looks like {string.Join(" and like ", names)} at once");
        try
        {
            FreeSpace space = names[0] switch
            {
                "ext" => await ExtFreeSpace.OpenAsync(reader, cancellationToken).ConfigureAwait(false),
                "NTFS" => await NtfsFreeSpace.OpenAsync(reader, boot, cancellationToken).ConfigureAwait(false),
                "exFAT" => await ExfatFreeSpace.OpenAsync(reader, boot, cancellationToken).ConfigureAwait(false),
                _ => await FatFreeSpace.OpenAsync(reader, boot, cancellationToken).ConfigureAwait(false),
            };
            return new FileSystemFinding(space.Name, space, null);
        }
        catch (UnusableFileSystemException unusable)
        {
            return new FileSystemFinding(names[0], null, unusable.Message);
        }
    }

    private static async ValueTask<List<string>> NamesAsync(PartitionReader reader, byte[] boot, CancellationToken cancellationToken)
    {
        var names = new List<string>();
        if (boot.AsSpan(3, 8).SequenceEqual("NTFS    "u8))
            names.Add("NTFS");
        else if (boot.AsSpan(3, 8).SequenceEqual("EXFAT   "u8))
            names.Add("exFAT");
        else if (FatBootSector.LooksLike(boot))
            names.Add("FAT");
        if (await reader.HasAsync(ExtSuperblock.Offset + ExtSuperblock.MagicAt, ForeignSignatures.Little(ExtSuperblock.Magic), cancellationToken).ConfigureAwait(false))
            names.Add("ext");
        return names;
    }
}
