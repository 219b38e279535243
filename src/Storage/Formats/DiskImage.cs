using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Formats;

/// <summary>Opens, creates, describes and checks image files of any format. Safe from any thread.</summary>
/// <remarks>Where no format is given it is told by the content. That is a convenience for files a person names; pass the
/// recorded format for a disk a guest has written to, since the guest of a raw disk can write any mark there.</remarks>
public static class DiskImage
{
    /// <summary>Opens an image and locks its file.</summary>
    /// <param name="path">The file or block device.</param>
    /// <param name="expected">Its format; null to tell it by the content. Both VHDX values accept both kinds of VHDX.</param>
    /// <param name="readOnly">Opens for reading only, which others may do at the same time.</param>
    /// <param name="cancellationToken">Gives up and closes the file.</param>
    /// <returns>The device; owned by the caller.</returns>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.Unsupported"/>: another format;
    /// <see cref="StorageErrorKind.Corrupt"/>: damaged; or the file could not be opened: NotFound, AccessDenied, InUse.</exception>
    public static async ValueTask<BlockDevice> OpenAsync(
        string path, ImageFormat? expected, bool readOnly, CancellationToken cancellationToken)
    {
        var file = LocalFile.Open(path, readOnly);
        try
        {
            return await OpenAsync(file, expected, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await file.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Creates an image that reads as zeroes. Survives a power cut when this returns; a failure leaves no file.</summary>
    /// <param name="path">The file; must not exist.</param>
    /// <param name="format">Its format.</param>
    /// <param name="size">Bytes; a multiple of 512, above zero.</param>
    /// <param name="options">More about it; the format's defaults when null.</param>
    /// <param name="cancellationToken">Gives up and removes the file.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.InvalidRequest"/> for a size or option outside the format's
    /// limits, AlreadyExists, NotFound for the folder, AccessDenied, NoSpace.</exception>
    public static async ValueTask CreateAsync(
        string path, ImageFormat format, long size, ImageCreateOptions? options, CancellationToken cancellationToken)
    {
        options ??= new ImageCreateOptions();
        CheckOptions(path, size, options);
        var file = LocalFile.Create(path);
        try
        {
            await using (file.ConfigureAwait(false))
                await FormatAsync(file, format, size, options, cancellationToken).ConfigureAwait(false);
            LocalFolder.Sync(Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/");
        }
        catch
        {
            LocalFolder.Remove(path);
            throw;
        }
    }

    /// <summary>Tells what an image file is, by its content.</summary>
    /// <param name="path">The file or block device; nobody may have it open for writing.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">As for opening it.</exception>
    public static ValueTask<ImageDescription> DescribeAsync(string path, CancellationToken cancellationToken) =>
        DescribeAsync(path, null, cancellationToken);

    /// <summary>Tells what an image file is.</summary>
    /// <param name="path">The file or block device; nobody may have it open for writing.</param>
    /// <param name="expected">Its format; null to tell it by the content.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">As for opening it.</exception>
    public static async ValueTask<ImageDescription> DescribeAsync(
        string path, ImageFormat? expected, CancellationToken cancellationToken)
    {
        var file = LocalFile.Open(path, readOnly: true);
        await using (file.ConfigureAwait(false))
        {
            // The device owns the file and closes it again, so what only the open file knows is asked first.
            var allocated = file.AllocatedBytes;
            var device = await OpenAsync(file, expected, cancellationToken).ConfigureAwait(false);
            await using (device.ConfigureAwait(false))
            {
                var vhdx = device as VhdxDisk;
                var format = vhdx is null ? ImageFormat.Raw : vhdx.IsFixed ? ImageFormat.VhdxFixed : ImageFormat.VhdxDynamic;
                return new ImageDescription(
                    format, device.Length, allocated, device.Capabilities.SectorSize, device.Capabilities.PhysicalSectorSize,
                    vhdx?.BlockSize, vhdx?.DiskId);
            }
        }
    }

    /// <summary>Lists what is wrong with an image. Never writes.</summary>
    /// <param name="path">The file or block device; nobody may have it open for writing.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>All findings; damage and foreign formats are findings, not exceptions.</returns>
    /// <exception cref="StorageException">The file could not be opened or read.</exception>
    public static ValueTask<CheckReport> CheckAsync(string path, CancellationToken cancellationToken) =>
        CheckAsync(path, null, cancellationToken);

    /// <summary>Lists what is wrong with an image. Never writes.</summary>
    /// <param name="path">The file or block device; nobody may have it open for writing.</param>
    /// <param name="expected">Its format; null to tell it by the content.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>All findings; damage and foreign formats are findings, not exceptions.</returns>
    /// <exception cref="StorageException">The file could not be opened or read.</exception>
    public static async ValueTask<CheckReport> CheckAsync(string path, ImageFormat? expected, CancellationToken cancellationToken)
    {
        var file = LocalFile.Open(path, readOnly: true);
        await using (file.ConfigureAwait(false))
        {
            try
            {
                if (await TellAsync(file, expected, cancellationToken).ConfigureAwait(false) != ImageFormat.Raw)
                    return await VhdxCheck.RunAsync(file, cancellationToken).ConfigureAwait(false);
                RawDisk.Open(file);
                return new CheckReport([], Errors: 0, Warnings: 0, TotalBlocks: 0, AllocatedBlocks: 0);
            }
            catch (StorageException damage) when (damage.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported)
            {
                var finding = new CheckFinding(CheckSeverity.Error, damage.Offset, damage.Reason);
                return new CheckReport([finding], Errors: 1, Warnings: 0, TotalBlocks: 0, AllocatedBlocks: 0);
            }
        }
    }

    /// <summary>Opens the image in a file, which stays the caller's when this throws.</summary>
    internal static async ValueTask<BlockDevice> OpenAsync(
        IStorageFile file, ImageFormat? expected, CancellationToken cancellationToken) =>
        await TellAsync(file, expected, cancellationToken).ConfigureAwait(false) == ImageFormat.Raw
            ? RawDisk.Open(file)
            : await VhdxDisk.OpenAsync(file, new VhdxOpenOptions { ReadOnly = file.IsReadOnly }, cancellationToken).ConfigureAwait(false);

    /// <summary>The expected format, or the one the content shows; VHDX dynamic stands for both kinds.</summary>
    private static async ValueTask<ImageFormat> TellAsync(
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
            ImageKind.DamagedVhdx => throw new StorageException(
                StorageErrorKind.Corrupt,
                "headers of a VHDX are there but its first sector is damaged; restore that sector, "
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

    private static ValueTask FormatAsync(
        IStorageFile file, ImageFormat format, long size, ImageCreateOptions options, CancellationToken cancellationToken)
    {
        if (format == ImageFormat.Raw)
            return RawDisk.CreateAsync(file, size, cancellationToken);
        var vhdx = new VhdxCreateOptions
        {
            Size = size,
            Fixed = format == ImageFormat.VhdxFixed,
            PhysicalSectorSize = options.PhysicalSectorSize,
            DiskId = options.Identifier,
        };
        return VhdxDisk.CreateAsync(file, options.BlockSize is int block ? vhdx with { BlockSize = block } : vhdx, cancellationToken);
    }

    private static void CheckOptions(string path, long size, ImageCreateOptions options)
    {
        if (size <= 0)
            throw new StorageException(StorageErrorKind.InvalidRequest, $"size {size} is not above zero", path, operation: "create");
        if (options.LogicalSectorSize != RawDisk.Sector)
        {
            throw new StorageException(
                StorageErrorKind.Unsupported,
                $"logical sectors of {options.LogicalSectorSize} bytes; only 512 in this version",
                path,
                operation: "create");
        }
    }
}
