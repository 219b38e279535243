using Godwit.Storage.Chains;
using Godwit.Storage.Formats;

namespace Godwit.Storage.Operations;

/// <summary>Gives a differencing image another parent without changing what it reads as.</summary>
/// <remarks>First whatever the old parent shows and the new one does not is written into the image: with the old parent that
/// changes nothing. Then the link is exchanged, which is one step. Killed anywhere, the image reads as before, and the same call
/// again finishes. One run per object.</remarks>
public sealed class ChainRebase
{
    private const int ChunkBytes = 1 << 20;
    private const int PieceBytes = 64 << 10;

    private readonly string _path;
    private readonly string _newParent;
    private readonly ChainOptions _options;

    /// <summary>Creates the operation; it does nothing until <see cref="RunAsync"/>.</summary>
    /// <param name="path">The differencing image.</param>
    /// <param name="newParent">The new parent, of the same family.</param>
    /// <param name="options">How to find layers.</param>
    public ChainRebase(string path, string newParent, ChainOptions options)
    {
        _path = Path.GetFullPath(path);
        _newParent = Path.GetFullPath(newParent);
        _options = options;
    }

    /// <summary>Does it.</summary>
    /// <param name="progress">Told now and then.</param>
    /// <param name="cancellationToken">Stops; the image reads as before.</param>
    /// <returns>Bytes that were written into the image.</returns>
    /// <exception cref="StorageException">InvalidRequest: the image has no parent, the new parent is of another family, larger, or has
    /// the image in its chain; or a layer failed.</exception>
    public async ValueTask<long> RunAsync(Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        var (format, link) = await PlanAsync(cancellationToken).ConfigureAwait(false);
        var written = await FillAsync(write: true, progress, cancellationToken).ConfigureAwait(false);
        await LayerLinks.SetParentAsync(_path, format, link, CancellationToken.None).ConfigureAwait(false);
        return written;
    }

    /// <summary>Makes every check and every comparison of <see cref="RunAsync"/>, and writes nothing.</summary>
    /// <param name="progress">Told now and then.</param>
    /// <param name="cancellationToken">Stops.</param>
    /// <returns>Bytes that would be written into the image.</returns>
    /// <exception cref="StorageException">As for <see cref="RunAsync"/>.</exception>
    public async ValueTask<long> MeasureAsync(Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        await PlanAsync(cancellationToken).ConfigureAwait(false);
        return await FillAsync(write: false, progress, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<(ImageFormat Format, ParentLink Link)> PlanAsync(CancellationToken cancellationToken)
    {
        var parents = await DiskChain.DescribeAsync(_newParent, _options with { Format = null }, cancellationToken).ConfigureAwait(false);
        var image = await DiskImage.DescribeAsync(_path, _options.Format, cancellationToken).ConfigureAwait(false);
        Validate(image, parents);
        return (image.Format, ChildImage.LinkTo(_path, parents[0]));
    }

    private void Validate(ImageDescription image, IReadOnlyList<ChainLayer> parents)
    {
        if (image.Parent is null)
            throw Invalid("it has no parent, so it cannot get another one");
        if (ImageProbe.FamilyOf(parents[0].Description.Format) != ImageProbe.FamilyOf(image.Format))
            throw Invalid($"{_newParent} is no {ImageProbe.FamilyOf(image.Format)} file, so it cannot be its parent");
        if (parents[0].Description.Size > image.Size)
            throw Invalid($"{_newParent} is larger ({parents[0].Description.Size} bytes) than the image ({image.Size} bytes)");
        foreach (var layer in parents)
        {
            if (layer.Path == _path)
                throw Invalid($"it is a layer of {_newParent}'s own chain");
        }
    }

    private async ValueTask<long> FillAsync(bool write, Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        // The children of this image, if any, see no difference either, so its identity stays.
        var options = _options with { ReadOnly = !write, KeepsLinkage = true };
        var child = (await DiskChain.OpenAsync(_path, options, cancellationToken).ConfigureAwait(false)).Device;
        await using (child.ConfigureAwait(false))
        {
            var opened = await DiskChain.OpenAsync(
                _newParent, _options with { Format = null, ReadOnly = true }, cancellationToken).ConfigureAwait(false);
            var parent = new ParentView(opened.Device, child.Capabilities.SectorSize);
            await using (parent.ConfigureAwait(false))
            {
                var written = await FillAsync(child, parent, progress, cancellationToken).ConfigureAwait(false);
                if (write)
                    await child.FlushAsync(cancellationToken).ConfigureAwait(false);
                return written;
            }
        }
    }

    private static async ValueTask<long> FillAsync(
        BlockDevice child, ParentView parent, Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        var (old, now) = (new byte[ChunkBytes], new byte[ChunkBytes]);
        long written = 0;
        for (long at = 0; at < child.Length;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            progress(new OperationProgress("Comparing", at, child.Length));
            var run = await child.GetExtentAsync(at, child.Length - at, cancellationToken).ConfigureAwait(false);
            if (run.Layer == 0)
            {
                at = run.End;
                continue;
            }

            var theirs = await parent.GetExtentAsync(at, run.Length, cancellationToken).ConfigureAwait(false);
            var both = Math.Min(run.Length, theirs.Length);
            if (!run.ReadsAsZeroes || !theirs.ReadsAsZeroes)
            {
                both = Math.Min(both, ChunkBytes);
                await child.ReadAsync(at, old.AsMemory(0, (int)both), cancellationToken).ConfigureAwait(false);
                await parent.ReadAsync(at, now.AsMemory(0, (int)both), cancellationToken).ConfigureAwait(false);
                written += await WriteDifferencesAsync(child, at, old.AsMemory(0, (int)both), now, cancellationToken).ConfigureAwait(false);
            }

            at += both;
        }

        return written;
    }

    private static async ValueTask<long> WriteDifferencesAsync(
        BlockDevice child, long offset, Memory<byte> old, byte[] now, CancellationToken cancellationToken)
    {
        long written = 0;
        for (var at = 0; at < old.Length; at += PieceBytes)
        {
            var piece = old.Slice(at, Math.Min(PieceBytes, old.Length - at));
            if (piece.Span.SequenceEqual(now.AsSpan(at, piece.Length)))
                continue;
            written += piece.Length;
            if (child.Capabilities.ReadOnly)
                continue;
            if (piece.Span.ContainsAnyExcept((byte)0))
                await child.WriteAsync(offset + at, piece, WriteFlags.None, cancellationToken).ConfigureAwait(false);
            else
                await child.WriteZeroesAsync(offset + at, piece.Length, WriteFlags.HideParent, cancellationToken).ConfigureAwait(false);
        }

        return written;
    }

    private StorageException Invalid(string reason) => new(StorageErrorKind.InvalidRequest, reason, _path, operation: "rebase");
}
