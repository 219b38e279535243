using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Operations;

/// <summary>Which layers a merge concerns, and how much of it an earlier, interrupted one has done.</summary>
/// <param name="Merged">The layers that will be gone, uppermost first.</param>
/// <param name="Target">The layer below them, which will read like the uppermost one.</param>
/// <param name="Above">The layer that gets the target as its parent; null when the uppermost merged layer is the leaf.</param>
/// <param name="IsCopied">The target reads like the uppermost merged layer already; only the last steps are left.</param>
internal sealed record ChainMergePlan(IReadOnlyList<ChainLayer> Merged, ChainLayer Target, ChainLayer? Above, bool IsCopied)
{
    /// <summary>Looks at the chain. Changes nothing.</summary>
    public static async ValueTask<ChainMergePlan> MakeAsync(
        string leaf, string? top, string? into, ChainOptions options, CancellationToken cancellationToken)
    {
        var upper = Path.GetFullPath(top ?? leaf);
        try
        {
            var chain = await DiskChain.DescribeAsync(leaf, options, cancellationToken).ConfigureAwait(false);
            var from = IndexOf(chain, upper);
            if (from >= 0)
            {
                var plan = Range(chain, from, into, from == 0 ? null : chain[from - 1], isCopied: false);
                await plan.RequireTargetCanTakeAsync(chain, options, null, cancellationToken).ConfigureAwait(false);
                return plan;
            }

            return await FindRelinkedAsync(chain, upper, into, options, cancellationToken).ConfigureAwait(false)
                ?? throw Invalid(upper, $"it is no layer of the chain of {chain[0].Path}");
        }
        catch (StorageException mismatch) when (mismatch.Kind == StorageErrorKind.ParentMismatch && upper == Path.GetFullPath(leaf))
        {
            // The last step of an interrupted merge: the target has the leaf's identity already.
            var chain = await DiskChain.DescribeAsync(
                leaf, options with { IgnoreParentMismatch = true }, cancellationToken).ConfigureAwait(false);
            var plan = Range(chain, 0, into, null, isCopied: true);
            if (plan.Target.Description.Linkage != plan.Merged[0].Description.Linkage)
                throw;
            return plan;
        }
    }

    /// <summary>Looks at a chain that is open, and served meanwhile. Changes nothing.</summary>
    /// <param name="chain">The chain.</param>
    /// <param name="index">The layer to merge into its parent, by its number in the chain; not the base.</param>
    /// <param name="options">How to find the layers.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask<ChainMergePlan> MakeLiveAsync(
        DiskChain chain, int index, ChainOptions options, CancellationToken cancellationToken)
    {
        IReadOnlyList<ChainLayer> layers = [chain.Leaf, .. chain.Layers.Skip(1)];
        var plan = Range(layers, index, null, index == 0 ? null : layers[index - 1], isCopied: false);

        // The leaf is open for writing, and so locked: its metadata is read through its own file.
        var leaf = index == 0 ? (chain.Device as VhdxDisk)?.File : null;
        await plan.RequireTargetCanTakeAsync(layers, options, leaf, cancellationToken).ConfigureAwait(false);
        return plan;
    }

    /// <summary>What an interrupted merge leaves once the layer above has its new parent: the merged layers stand aside.</summary>
    private static async ValueTask<ChainMergePlan?> FindRelinkedAsync(
        IReadOnlyList<ChainLayer> leafChain, string top, string? into, ChainOptions options, CancellationToken cancellationToken)
    {
        var aside = await DiskChain.DescribeAsync(
            top, options with { Format = null, IgnoreParentMismatch = true }, cancellationToken).ConfigureAwait(false);
        if (aside.Count == 1)
            return null;
        var plan = Range(aside, 0, into, null, isCopied: true);
        var target = IndexOf(leafChain, plan.Target.Path);
        if (target < 1 || leafChain[target - 1].Description.Parent!.Linkage != LinkageAbove(plan))
            return null;
        return plan with { Above = leafChain[target - 1] };
    }

    /// <summary>What the layer above records as its parent's identity once it has been given the target.</summary>
    public static Guid LinkageAbove(ChainMergePlan plan) =>
        (LayerFormats.RecordsContent(plan.Target.Description.Format) ? plan.Merged[0] : plan.Target).Description.Linkage!.Value;

    private static ChainMergePlan Range(IReadOnlyList<ChainLayer> chain, int from, string? into, ChainLayer? above, bool isCopied)
    {
        var to = into is null ? from + 1 : IndexOf(chain, Path.GetFullPath(into));
        if (to < 0)
            throw Invalid(Path.GetFullPath(into!), $"it is no layer of the chain of {chain[0].Path}");
        if (to >= chain.Count)
            throw Invalid(chain[from].Path, "it has no parent to be merged into");
        if (to <= from)
            throw Invalid(chain[from].Path, $"{chain[to].Path} is not below it in the chain");
        CheckSizes(chain[from], chain[to]);
        return new ChainMergePlan([.. chain.Skip(from).Take(to - from)], chain[to], above, isCopied);
    }

    /// <summary>Refuses before anything is copied what would come to light only afterwards.</summary>
    private async ValueTask RequireTargetCanTakeAsync(
        IReadOnlyList<ChainLayer> chain, ChainOptions options, IStorageFile? open, CancellationToken cancellationToken)
    {
        var top = Merged[0];
        var size = top.Description.Size;
        if (size > Target.Description.Size)
        {
            var below = IndexOf(chain, Target.Path) + 1;
            var problem = await GrowthRehearsal.ProblemAsync(
                Target, below < chain.Count ? chain[below] : null, size, options, cancellationToken).ConfigureAwait(false);
            if (problem is not null)
            {
                throw new StorageException(
                    StorageErrorKind.Unsupported,
                    $"{Target.Path} cannot grow from {Target.Description.Size} to the {size} bytes of this layer: {problem}; "
                    + "nothing has changed; convert this layer into a new disk instead (godwit disk convert)",
                    top.Path,
                    operation: "merge");
            }
        }

        if (LayerFormats.RecordsContent(Target.Description.Format))
            await LayerLinks.RequireRoomForMetadataAsync(top.Path, open, Target.Path, cancellationToken).ConfigureAwait(false);
    }

    private static void CheckSizes(ChainLayer top, ChainLayer target)
    {
        if (top.Description.Size < target.Description.Size)
        {
            throw Invalid(
                top.Path,
                $"it is smaller ({top.Description.Size} bytes) than {target.Path} ({target.Description.Size} bytes); "
                + "convert it into a new file instead");
        }

        if (top.Description.Size % target.Description.LogicalSectorSize != 0)
        {
            throw Invalid(
                top.Path,
                $"its size is not whole {target.Description.LogicalSectorSize}-byte sectors of {target.Path}; "
                + "convert it into a new file instead");
        }
    }

    private static int IndexOf(IReadOnlyList<ChainLayer> chain, string path)
    {
        for (var index = 0; index < chain.Count; index++)
        {
            if (chain[index].Path == path)
                return index;
        }

        return -1;
    }

    private static StorageException Invalid(string path, string reason) =>
        new(StorageErrorKind.InvalidRequest, reason, path, operation: "merge");
}
