using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Partitions;

namespace Godwit.Storage.Operations;

/// <summary>Makes the disk in an image larger or smaller, while nobody uses it.</summary>
/// <remarks>
/// <para>Safe at any instant: the disk has the old size or the new one, with every byte that both have, and the same call again
/// finishes. The order of writes and the reasons are in docs/design/resize.md.</para>
/// <para>Partitions and file systems stay as they are; a smaller disk with a GUID partition table gets the table's backup at its new
/// end. One run per object.</para>
/// </remarks>
public sealed class DiskResize
{
    private readonly ChainOptions _options;
    private readonly DiskResizePlan _plan;

    private DiskResize(ChainOptions options, DiskResizePlan plan)
    {
        _options = options;
        _plan = plan;
    }

    /// <summary>The image, with its present size.</summary>
    public ChainLayer Image => _plan.Image;

    /// <summary>The size it will have, in bytes.</summary>
    public long Size => _plan.Size;

    /// <summary>What divides the disk.</summary>
    public PartitionTable Table => _plan.Table;

    /// <summary>The smallest size that cuts no partition, in bytes; null when there is no partition.</summary>
    public long? SmallestSize => _plan.SmallestSize;

    /// <summary>What will be cut off, as a sentence; null when nothing will be.</summary>
    public string? Loss => _plan.Loss;

    /// <summary>The backup of the GUID partition table goes to the new end.</summary>
    public bool MovesBackupTable => _plan.MovesBackupTable;

    /// <summary>Told before each step is done, so that tests can end the run there.</summary>
    internal Action<string>? BeforeStep { get; set; }

    /// <summary>Looks at the disk and says what a resize would do. Changes nothing.</summary>
    /// <param name="path">The image; for a differencing one its whole chain is opened and checked.</param>
    /// <param name="request">The size.</param>
    /// <param name="options">How to find the layers.</param>
    /// <param name="progress">Told now and then while the part to cut is looked at.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">InvalidRequest: something would be cut off, naming it and the smallest size, and the request
    /// does not force it; or the size cannot be; or the chain cannot be opened.</exception>
    public static async ValueTask<DiskResize> PlanAsync(
        string path, DiskResizeRequest request, ChainOptions options, Action<OperationProgress> progress, CancellationToken cancellationToken) =>
        new(options, await DiskResizePlan.MakeAsync(path, request, options, progress, cancellationToken).ConfigureAwait(false));

    /// <summary>Refuses when another image in the same folder has this one as its parent: it would not know its parent any more.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">InvalidRequest, naming one of them.</exception>
    public ValueTask RequireNoChildrenAsync(CancellationToken cancellationToken) => OtherChildren.RequireNoneAsync(
        new HashSet<string> { Image.Path }, new HashSet<string> { Image.Path }, _options.Paths, "resize", cancellationToken);

    /// <summary>Does it.</summary>
    /// <param name="progress">Told now and then.</param>
    /// <param name="cancellationToken">Gives up before the size changes.</param>
    /// <exception cref="StorageException">A file failed or its file system is full. The disk has the old size or the new one.</exception>
    public async ValueTask RunAsync(Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (Image.Description.Format == ImageFormat.VhdxFixed && Size >= Image.Description.Size)
            await GrowFixedAsync(progress, cancellationToken).ConfigureAwait(false);
        else if (Size > Image.Description.Size)
            await GrowAsync(cancellationToken).ConfigureAwait(false);
        else
            await ShrinkAsync(cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask GrowFixedAsync(Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        BeforeStep?.Invoke("grow");
        var file = LocalFile.Open(Image.Path, readOnly: false);
        await using (file.ConfigureAwait(false))
        {
            await VhdxFixedGrowth.RunAsync(
                file, Size, (done, total) => progress(new OperationProgress("Reserving", done, total)), cancellationToken).ConfigureAwait(false);
        }
    }

    private async ValueTask GrowAsync(CancellationToken cancellationToken)
    {
        BeforeStep?.Invoke("table");
        var file = LocalFile.Open(Image.Path, readOnly: false);
        await using (file.ConfigureAwait(false))
            await LayerFormats.PrepareGrowthAsync(file, Image.Description.Format, Size, cancellationToken).ConfigureAwait(false);

        BeforeStep?.Invoke("grow");
        cancellationToken.ThrowIfCancellationRequested();
        var device = await OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (device.ConfigureAwait(false))
        {
            await device.ResizeAsync(Size, cancellationToken).ConfigureAwait(false);
            await device.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async ValueTask ShrinkAsync(CancellationToken cancellationToken)
    {
        if (MovesBackupTable)
        {
            BeforeStep?.Invoke("backup table");
            var device = await OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (device.ConfigureAwait(false))
                await GptMove.RunAsync(device, Table.Gpt!, Size, cancellationToken).ConfigureAwait(false);
        }

        BeforeStep?.Invoke("shrink");
        cancellationToken.ThrowIfCancellationRequested();
        var file = LocalFile.Open(Image.Path, readOnly: false);
        await using (file.ConfigureAwait(false))
            await LayerFormats.ShrinkAsync(file, Image.Description.Format, Size, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<BlockDevice> OpenAsync(CancellationToken cancellationToken) =>
        (await DiskChain.OpenAsync(
            Image.Path, _options with { Format = Image.Description.Format, ReadOnly = false }, cancellationToken).ConfigureAwait(false)).Device;
}
