using Godwit.Storage.Chains;
using Godwit.Storage.Partitions;

namespace Godwit.Storage.Operations;

/// <summary>What a resize would do, and what stands against it.</summary>
/// <param name="Image">The image.</param>
/// <param name="Size">The size it is to have, in bytes.</param>
/// <param name="Table">What divides the disk.</param>
/// <param name="SmallestSize">The smallest size that cuts no partition and leaves room for the table's backup; null where no partition
/// tells.</param>
/// <param name="Loss">What is cut off, as a sentence; null when nothing is.</param>
internal sealed record DiskResizePlan(ChainLayer Image, long Size, PartitionTable Table, long? SmallestSize, string? Loss)
{
    // Sizes are rounded up to what any host and guest takes as one sector.
    private const int Rounding = 4096;

    /// <summary>The backup of the partition table goes to the new end.</summary>
    public bool MovesBackupTable =>
        Size < Image.Description.Size && Table.Gpt is GptCopies copies && GptMove.Fits(copies, Size);

    /// <summary>Looks at the disk. Changes nothing.</summary>
    public static async ValueTask<DiskResizePlan> MakeAsync(
        string path, DiskResizeRequest request, ChainOptions options, Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        var chain = await DiskChain.OpenAsync(path, options with { ReadOnly = true }, cancellationToken).ConfigureAwait(false);
        await using (chain.Device.ConfigureAwait(false))
        {
            var (image, device) = (chain.Layers[0], chain.Device);
            var table = await PartitionTable.ReadAsync(device, cancellationToken).ConfigureAwait(false);
            var smallest = table.Last is null ? (long?)null : SmallestFor(table);
            var size = request.Size ?? ToLastPartition(image, table, smallest);
            CheckSize(image, size);
            string? loss = null;
            if (size > device.Length)
                CheckGrowth(chain, size);
            else if (size < device.Length)
                loss = await LossAsync(device, table, smallest, size, progress, cancellationToken).ConfigureAwait(false);
            if (loss is not null && !request.Force)
                throw Refuse(image, $"{loss}, or force the cut");
            return new DiskResizePlan(image, size, table, smallest, loss);
        }
    }

    private static long SmallestFor(PartitionTable table)
    {
        var end = table.Gpt is null ? table.EndOfLastPartition : RoundUp(table.EndOfLastPartition, table.SectorSize) + GptMove.RoomFor(table.Gpt);
        return RoundUp(end, Rounding);
    }

    // A table may name an end near the largest number there is.
    private static long RoundUp(long value, long unit) => value > long.MaxValue - (1 << 30) ? value : (value + unit - 1) / unit * unit;

    private static long ToLastPartition(ChainLayer image, PartitionTable table, long? smallest)
    {
        if (smallest is not long size)
            throw Refuse(image, $"there is no partition to go by ({table.Evidence}); give a size");
        if (table.IsIncomplete)
            throw Refuse(image, $"{table.Problems[0]}, so the last partition is not known; give a size");
        return Math.Min(size, image.Description.Size);
    }

    private static void CheckSize(ChainLayer image, long size)
    {
        var sector = image.Description.LogicalSectorSize;
        if (size <= 0 || size % sector != 0)
            throw Refuse(image, $"the size {size} is not whole {sector}-byte sectors; the next one that is: {Math.Max(1, (size + sector - 1) / sector) * sector}");
    }

    private static void CheckGrowth(DiskChain chain, long size)
    {
        var image = chain.Layers[0];
        if (chain.Layers.Count > 1 && chain.Layers[1].Description.Size > image.Description.Size)
        {
            throw Refuse(image,
                $"its parent {chain.Layers[1].Path} has {chain.Layers[1].Description.Size} bytes, more than its {image.Description.Size}, so with {size} "
                + "it would show the parent's bytes in its new part; convert it into a new disk, and resize that");
        }
    }

    private static async ValueTask<string?> LossAsync(
        BlockDevice device, PartitionTable table, long? smallest, long size, Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        if (table.IsIncomplete)
            return $"{table.Problems[0]}, so it is not known where the last partition ends; repair the table in the guest first";
        if (table.Partitions.FirstOrDefault(partition => partition.Type == "42") is Partition dynamic && size < device.Length)
            return $"{dynamic} is a Windows dynamic disk, whose database stands in the last MiB; convert it to a basic disk in the guest first";
        if (table.Last is Partition last)
        {
            if (size >= smallest)
                return null;
            var behind = table.Gpt is null ? "" : ", and behind it goes the backup of the partition table";
            return $"{last} ends at {last.End}{behind}: the smallest size is {smallest} bytes; make the partition smaller in the guest first";
        }

        var end = await LastByteScan.RunAsync(device, size, progress, cancellationToken).ConfigureAwait(false);
        if (end == size)
            return null;
        return $"{table.Evidence}, and not all bytes behind {size} are zero: the smallest size is {RoundUp(end, Rounding)} bytes; "
            + "make the file system smaller in the guest first";
    }

    private static StorageException Refuse(ChainLayer image, string reason) =>
        new(StorageErrorKind.InvalidRequest, reason, image.Path, operation: "resize");
}
