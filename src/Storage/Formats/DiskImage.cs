using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Formats;

/// <summary>Opens, creates, describes and checks image files of any format. Safe from any thread.</summary>
/// <remarks>Where no format is given it is told by the content. That is a convenience for files a person names; pass the
/// recorded format for a disk a guest has written to, since the guest of a raw disk can write any mark there.</remarks>
public static class DiskImage
{
    /// <summary>Opens an image, with its parents where it has any, and locks the files.</summary>
    /// <param name="path">The file or block device.</param>
    /// <param name="expected">Its format; null to tell it by the content. Any VHDX value accepts every kind of VHDX, any VHD value
    /// every kind of VHD.</param>
    /// <param name="readOnly">Opens for reading only, which others may do at the same time.</param>
    /// <param name="cancellationToken">Gives up and closes the files.</param>
    /// <returns>The device; owned by the caller.</returns>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.Unsupported"/>: another format;
    /// <see cref="StorageErrorKind.Corrupt"/>: damaged; ParentNotFound, ParentMismatch; or a file could not be opened: NotFound,
    /// AccessDenied, InUse.</exception>
    public static async ValueTask<BlockDevice> OpenAsync(
        string path, ImageFormat? expected, bool readOnly, CancellationToken cancellationToken)
    {
        var options = new ChainOptions { Format = expected, ReadOnly = readOnly };
        return (await DiskChain.OpenAsync(path, options, cancellationToken).ConfigureAwait(false)).Device;
    }

    /// <summary>Creates an image that reads as zeroes. Survives a power cut when this returns; a failure leaves no file.</summary>
    /// <param name="path">The file; must not exist.</param>
    /// <param name="format">Its format; for a differencing one see <see cref="ChildImage"/>.</param>
    /// <param name="size">Bytes; whole sectors, above zero.</param>
    /// <param name="options">More about it; the format's defaults when null.</param>
    /// <param name="cancellationToken">Gives up and removes the file.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.InvalidRequest"/> for a size or option outside the format's
    /// limits, AlreadyExists, NotFound for the folder, AccessDenied, NoSpace.</exception>
    public static ValueTask CreateAsync(
        string path, ImageFormat format, long size, ImageCreateOptions? options, CancellationToken cancellationToken) =>
        CreateAsync(path, format, size, options, null, cancellationToken);

    /// <summary>Tells what an image file is, by its content.</summary>
    /// <param name="path">The file or block device; nobody may have it open for writing.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">As for opening it; a parent is not looked for.</exception>
    public static ValueTask<ImageDescription> DescribeAsync(string path, CancellationToken cancellationToken) =>
        DescribeAsync(path, null, cancellationToken);

    /// <summary>Tells what an image file is.</summary>
    /// <param name="path">The file or block device; nobody may have it open for writing.</param>
    /// <param name="expected">Its format; null to tell it by the content.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">As for opening it; a parent is not looked for.</exception>
    public static async ValueTask<ImageDescription> DescribeAsync(
        string path, ImageFormat? expected, CancellationToken cancellationToken)
    {
        var file = LocalFile.Open(path, readOnly: true);
        await using (file.ConfigureAwait(false))
        {
            var format = await ImageProbe.TellAsync(file, expected, cancellationToken).ConfigureAwait(false);
            var description = await LayerFormats.DescribeAsync(file, format, cancellationToken).ConfigureAwait(false);
            return description with { AllocatedBytes = file.AllocatedBytes };
        }
    }

    /// <summary>Lists what is wrong with one image file; its parents are files of their own. Never writes.</summary>
    /// <param name="path">The file or block device; nobody may have it open for writing.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>All findings; damage and foreign formats are findings, not exceptions.</returns>
    /// <exception cref="StorageException">The file could not be opened or read.</exception>
    public static ValueTask<CheckReport> CheckAsync(string path, CancellationToken cancellationToken) =>
        CheckAsync(path, null, cancellationToken);

    /// <summary>Lists what is wrong with one image file; its parents are files of their own. Never writes.</summary>
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
                var format = await ImageProbe.TellAsync(file, expected, cancellationToken).ConfigureAwait(false);
                return await LayerFormats.CheckAsync(file, format, cancellationToken).ConfigureAwait(false);
            }
            catch (StorageException damage) when (damage.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported)
            {
                var finding = new CheckFinding(CheckSeverity.Error, damage.Offset, damage.Reason);
                return new CheckReport([finding], Errors: 1, Warnings: 0, TotalBlocks: 0, AllocatedBlocks: 0);
            }
        }
    }

    /// <summary>Creates an image, a differencing one when a parent is given.</summary>
    internal static async ValueTask CreateAsync(
        string path, ImageFormat format, long size, ImageCreateOptions? options, ParentLink? parent, CancellationToken cancellationToken)
    {
        options ??= new ImageCreateOptions();
        if (size <= 0)
            throw new StorageException(StorageErrorKind.InvalidRequest, $"size {size} is not above zero", path, operation: "create");
        var file = LocalFile.Create(path);
        try
        {
            await using (file.ConfigureAwait(false))
                await FormatAsync(file, format, size, options, parent, cancellationToken).ConfigureAwait(false);
            LocalFolder.Sync(Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/");
        }
        catch
        {
            LocalFolder.Remove(path);
            throw;
        }
    }

    private static ValueTask FormatAsync(
        IStorageFile file, ImageFormat format, long size, ImageCreateOptions options, ParentLink? parent, CancellationToken cancellationToken)
    {
        var family = ImageProbe.FamilyOf(format);
        if ((format is ImageFormat.VhdxDifferencing or ImageFormat.VhdDifferencing) != (parent is not null))
            throw Invalid(file, parent is null ? "a differencing image needs a parent" : "only a differencing image has a parent");
        if (family != "VHDX" && options.LogicalSectorSize != 512)
            throw Invalid(file, $"logical sectors of {options.LogicalSectorSize} bytes; only VHDX has others than 512");
        return family switch
        {
            "VHDX" => CreateVhdxAsync(file, format, size, options, parent, cancellationToken),
            "VHD" => CreateVhdAsync(file, format, size, options, parent, cancellationToken),
            _ => RawDisk.CreateAsync(file, size, cancellationToken),
        };
    }

    private static ValueTask CreateVhdxAsync(
        IStorageFile file, ImageFormat format, long size, ImageCreateOptions options, ParentLink? parent, CancellationToken cancellationToken)
    {
        var vhdx = new VhdxCreateOptions
        {
            Size = size,
            Fixed = format == ImageFormat.VhdxFixed,
            LogicalSectorSize = options.LogicalSectorSize,
            PhysicalSectorSize = options.PhysicalSectorSize,
            DiskId = options.Identifier,
            Parent = parent,
            Metadata = options.Metadata,
        };
        return VhdxDisk.CreateAsync(file, options.BlockSize is int block ? vhdx with { BlockSize = block } : vhdx, cancellationToken);
    }

    private static ValueTask CreateVhdAsync(
        IStorageFile file, ImageFormat format, long size, ImageCreateOptions options, ParentLink? parent, CancellationToken cancellationToken)
    {
        var vhd = new VhdCreateOptions
        {
            Size = size,
            Fixed = format == ImageFormat.VhdFixed,
            DiskId = options.Identifier,
            Parent = parent,
        };
        return VhdDisk.CreateAsync(file, options.BlockSize is int block ? vhd with { BlockSize = block } : vhd, cancellationToken);
    }

    private static StorageException Invalid(IStorageFile file, string reason) =>
        new(StorageErrorKind.InvalidRequest, reason, file.Path, operation: "create");
}
