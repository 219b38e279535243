namespace Godwit.Storage.FileSystems;

/// <summary>Free clusters of an NTFS volume: its file $Bitmap.</summary>
/// <remarks>Record 6 of the master file table; one bit per cluster, the lowest bit of the first byte for cluster 0.</remarks>
internal sealed class NtfsFreeSpace : FreeSpace
{
    private const int PieceClusters = 1 << 15;
    private const int BitmapRecord = 6;
    private readonly NtfsVolume _volume;
    private readonly NtfsRuns _bitmap;

    private NtfsFreeSpace(NtfsVolume volume, NtfsRuns bitmap)
        : base("NTFS", 0, volume.ClusterSize, volume.ClusterCount, PieceClusters)
    {
        _volume = volume;
        _bitmap = bitmap;
    }

    /// <summary>Opens the map of a partition with the mark of an NTFS.</summary>
    /// <exception cref="UnusableFileSystemException">It is dirty, in use, hibernated, or damaged.</exception>
    public static async ValueTask<NtfsFreeSpace> OpenAsync(PartitionReader reader, byte[] boot, CancellationToken cancellationToken)
    {
        var volume = await NtfsVolume.OpenAsync(reader, boot, cancellationToken).ConfigureAwait(false);
        await new NtfsState(volume).RequireCleanAsync(cancellationToken).ConfigureAwait(false);
        var bitmap = volume.DataOf(await volume.ReadRecordAsync(BitmapRecord, cancellationToken).ConfigureAwait(false));
        var needed = (volume.ClusterCount + 7) / 8;
        if (bitmap.InitializedLength < (ulong)needed || bitmap.Count < (needed + volume.ClusterSize - 1) / volume.ClusterSize)
            throw new UnusableFileSystemException("its bitmap is too short, or continues in another record");
        var space = new NtfsFreeSpace(volume, bitmap);
        await space.RequireSoundAsync(cancellationToken).ConfigureAwait(false);
        return space;
    }

    /// <inheritdoc/>
    protected override ValueTask FillAsync(long piece, Memory<byte> used, CancellationToken cancellationToken)
    {
        var count = Math.Min(PieceClusters, ClusterCount - (piece * PieceClusters));
        return _volume.ReadAsync(_bitmap, piece * PieceClusters / 8, used[..(int)((count + 7) / 8)], cancellationToken);
    }

    /// <summary>A bitmap that calls the boot sector, the master file table or itself free is not to be believed in anything.</summary>
    private async ValueTask RequireSoundAsync(CancellationToken cancellationToken)
    {
        var sound = await IsUsedAsync(0, cancellationToken).ConfigureAwait(false)
            && await IsUsedAsync(_volume.TableCluster, cancellationToken).ConfigureAwait(false);
        foreach (var (cluster, count) in _bitmap.All)
        {
            sound = sound && await IsUsedAsync(cluster, cancellationToken).ConfigureAwait(false)
                && await IsUsedAsync(cluster + count - 1, cancellationToken).ConfigureAwait(false);
        }

        if (!sound)
            throw new UnusableFileSystemException("its bitmap calls the boot sector, the master file table or itself free");
    }
}
