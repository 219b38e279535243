using Godwit.Storage.Chains;
using Godwit.Storage.Decorators;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;

namespace Godwit.Storage.Operations;

/// <summary>Merges a range of layers into the one below them: afterwards the lower one reads like the upper one did.</summary>
/// <remarks>
/// <para>Safe at any instant. While layers are copied down the chain reads the same with every byte that has been copied, because
/// the upper layers still cover it, and the target keeps the identity its child recorded. Then, in this order: the target takes
/// over what a guest sees of the disk besides its bytes (VHDX only), the layer above gets its new parent, the target takes the
/// merged layer's identity (VHDX only; a VHD's does not tell its content), the merged files go, the uppermost first. Killed before
/// that, the same call again finishes; killed while several files go, those left have no reader any more and say so when opened
/// (their parent is another one now).</para>
/// <para>One run per object.</para>
/// </remarks>
public sealed class ChainMerge
{
    private readonly ChainOptions _options;
    private readonly ChainMergePlan _plan;

    private ChainMerge(ChainOptions options, ChainMergePlan plan)
    {
        _options = options;
        _plan = plan;
    }

    /// <summary>The layers that will be gone, uppermost first.</summary>
    public IReadOnlyList<ChainLayer> Merged => _plan.Merged;

    /// <summary>The layer that will read like the uppermost merged one.</summary>
    public ChainLayer Target => _plan.Target;

    /// <summary>The layer that will get the target as its parent; null when the uppermost merged layer is the leaf.</summary>
    public ChainLayer? Above => _plan.Above;

    /// <summary>Told before each step is done, so that tests can end the run there.</summary>
    internal Action<string>? BeforeStep { get; set; }

    /// <summary>Looks at the chain and says what a merge would do. Changes nothing.</summary>
    /// <param name="leaf">The image whose chain it is; the whole chain is checked.</param>
    /// <param name="top">The uppermost layer to merge; the leaf itself when null.</param>
    /// <param name="into">The layer to merge into, anywhere below; the parent of <paramref name="top"/> when null.</param>
    /// <param name="options">How to find the layers.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">InvalidRequest: no such layers in this chain, or the target is larger;
    /// Unsupported: the target cannot grow to the size of the merged layer; or the chain cannot be opened.</exception>
    public static async ValueTask<ChainMerge> PlanAsync(
        string leaf, string? top, string? into, ChainOptions options, CancellationToken cancellationToken) =>
        new(options, await ChainMergePlan.MakeAsync(leaf, top, into, options, cancellationToken).ConfigureAwait(false));

    /// <summary>Refuses when other images in the folders of the merged layers and of the target would lose their parent.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">InvalidRequest, naming one of them.</exception>
    public async ValueTask RequireNoOtherChildrenAsync(CancellationToken cancellationToken)
    {
        var touched = Merged.Append(Target).Select(layer => layer.Path).ToHashSet();
        var own = Merged.Select(layer => layer.Path).Append(Above?.Path ?? "").ToHashSet();
        await OtherChildren.RequireNoneAsync(touched, own, _options.Paths, "merge", cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Does it.</summary>
    /// <param name="progress">Told now and then.</param>
    /// <param name="cancellationToken">Stops the copying; the chain reads as before. Ignored once the copy is whole.</param>
    /// <exception cref="StorageException">A layer failed or the target's file system is full. The chain reads as before.</exception>
    public async ValueTask RunAsync(Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        if (!_plan.IsCopied)
        {
            BeforeStep?.Invoke("copy");
            await CopyDownAsync(progress, cancellationToken).ConfigureAwait(false);
            await RelinkAsync().ConfigureAwait(false);
        }

        await TakeIdentityAsync().ConfigureAwait(false);
        foreach (var layer in Merged)
        {
            BeforeStep?.Invoke("remove");
            LocalFolder.Remove(layer.Path);
            LocalFolder.Sync(Path.GetDirectoryName(layer.Path)!);
        }
    }

    /// <summary>Does what is left once a layer's bytes are in its parent and survive a power cut, all but removing its file. May be done again after it
    /// was cut short anywhere: the chain reads the same at every instant. Nobody has the files open.</summary>
    /// <param name="merged">The layer that will be gone.</param>
    /// <param name="target">Its parent.</param>
    /// <param name="above">The layer above it.</param>
    /// <param name="beforeStep">Told before each step.</param>
    /// <param name="cancellationToken">Gives up before anything is written.</param>
    /// <exception cref="StorageException">A file failed. The chain reads as before.</exception>
    public static async ValueTask SettleAsync(
        string merged, string target, string above, Action<string>? beforeStep, CancellationToken cancellationToken)
    {
        var plan = new ChainMergePlan(
            [await DescribeAsync(merged, cancellationToken).ConfigureAwait(false)],
            await DescribeAsync(target, cancellationToken).ConfigureAwait(false),
            await DescribeAsync(above, cancellationToken).ConfigureAwait(false),
            IsCopied: true);
        var merge = new ChainMerge(new ChainOptions(), plan) { BeforeStep = beforeStep };
        await merge.RelinkAsync().ConfigureAwait(false);
        await merge.TakeIdentityAsync().ConfigureAwait(false);
    }

    /// <summary>Does what has to be done before a leaf's parent can stand for it, once the leaf's bytes are in the parent and survive a power cut. May be
    /// done again after it was cut short anywhere: the chain reads the same at every instant, with the leaf or without. Nobody has the files open.</summary>
    /// <param name="leaf">The layer that will be gone.</param>
    /// <param name="target">Its parent.</param>
    /// <param name="targetFormat">The parent's format.</param>
    /// <exception cref="StorageException">A file failed. The chain reads as before.</exception>
    /// <remarks>The parent keeps its identity: until whoever uses the chain has recorded that the parent is the disk now, the leaf has to open over it.</remarks>
    public static async ValueTask SettleLeafAsync(string leaf, string target, ImageFormat targetFormat)
    {
        if (LayerFormats.RecordsContent(targetFormat))
            await LayerLinks.CarryMetadataAsync(leaf, target).ConfigureAwait(false);
    }

    private static async ValueTask<ChainLayer> DescribeAsync(string path, CancellationToken cancellationToken) =>
        new(path, await DiskImage.DescribeAsync(path, cancellationToken).ConfigureAwait(false));

    private async ValueTask RelinkAsync()
    {
        BeforeStep?.Invoke("metadata");
        if (LayerFormats.RecordsContent(Target.Description.Format))
            await LayerLinks.CarryMetadataAsync(Merged[0].Path, Target.Path).ConfigureAwait(false);
        BeforeStep?.Invoke("relink");
        if (Above is ChainLayer above)
            await RelinkAsync(above).ConfigureAwait(false);
    }

    private async ValueTask TakeIdentityAsync()
    {
        BeforeStep?.Invoke("identity");
        if (LayerFormats.RecordsContent(Target.Description.Format))
            await LayerLinks.SetLinkageAsync(Target.Path, Merged[0].Description.Linkage!.Value).ConfigureAwait(false);
    }

    private async ValueTask CopyDownAsync(Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        var target = await LayerLinks.OpenKeepingLinkageAsync(Target.Path, _options, cancellationToken).ConfigureAwait(false);
        await using (target.ConfigureAwait(false))
        {
            var source = await OpenMergedAsync(target, cancellationToken).ConfigureAwait(false);
            await using (source.ConfigureAwait(false))
            {
                if (target.Length < source.Length)
                    await target.ResizeAsync(source.Length, cancellationToken).ConfigureAwait(false);
                await new LayerCopy(source, target, Merged.Count, progress).RunAsync(cancellationToken).ConfigureAwait(false);
                await target.FlushAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>The merged layers on top of the target, which is open for writing already.</summary>
    private async ValueTask<BlockDevice> OpenMergedAsync(BlockDevice target, CancellationToken cancellationToken)
    {
        BlockDevice device = new BorrowedDisk(target);
        foreach (var layer in Merged.Reverse())
        {
            var file = LocalFile.Open(layer.Path, readOnly: true);
            try
            {
                device = await LayerFormats.OpenAsync(
                    file, layer.Description.Format, device, keepsLinkage: true, cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                await file.DisposeAsync().ConfigureAwait(false);
                await device.DisposeAsync().ConfigureAwait(false);
                throw;
            }
        }

        return device;
    }

    private async ValueTask RelinkAsync(ChainLayer above)
    {
        var link = ChildImage.LinkTo(above.Path, Target) with { Linkage = ChainMergePlan.LinkageAbove(_plan) };

        // Both identities: the one the target gets next and the one it has now.
        if (link.Linkage != Target.Description.Linkage)
            link = link with { Alternate = Target.Description.Linkage };
        await LayerLinks.SetParentAsync(above.Path, above.Description.Format, link, CancellationToken.None).ConfigureAwait(false);
    }
}
