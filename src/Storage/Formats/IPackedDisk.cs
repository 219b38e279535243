namespace Godwit.Storage.Formats;

/// <summary>A disk of blocks that get a place in the file when they are needed: blocks can lose their places, and what is left can be
/// moved to the front of the file. Nobody else uses the disk meanwhile.</summary>
internal interface IPackedDisk
{
    /// <summary>Bytes per block.</summary>
    int BytesPerBlock { get; }

    /// <summary>Blocks of the disk.</summary>
    long BlockCount { get; }

    /// <summary>Bytes the image file has.</summary>
    long FileLength { get; }

    /// <summary>What shows where a block of a differencing disk has no place; null for a disk without a parent.</summary>
    BlockDevice? ParentDevice { get; }

    /// <summary>The first block from <paramref name="block"/> on that has a place, or <see cref="BlockCount"/>.</summary>
    ValueTask<long> NextPlacedAsync(long block, CancellationToken cancellationToken);

    /// <summary>Whether the block reads as zeroes once it has lost its place.</summary>
    ValueTask<bool> CanDropAsync(long block, CancellationToken cancellationToken);

    /// <summary>Takes the places of blocks away: they read as zeroes, or as the parent, from now on. Survives a power cut after the next flush.</summary>
    /// <param name="blocks">Rising, each with a place, each droppable or equal to the parent.</param>
    /// <param name="cancellationToken">Gives up between blocks.</param>
    /// <exception cref="StorageException">The file failed; some of the blocks may have lost their places.</exception>
    ValueTask DropAsync(IReadOnlyList<DroppedBlock> blocks, CancellationToken cancellationToken);

    /// <summary>To be called once before a change that a guest could read: children that recorded this disk know it no more.</summary>
    ValueTask ChangeIdentityAsync();

    /// <summary>Bytes of the file that hold nothing: gaps, and places reserved for blocks that are not there. Writes nothing.</summary>
    ValueTask<long> CountFreeAsync(CancellationToken cancellationToken);

    /// <summary>Moves blocks from the end of the file into gaps and cuts the file. Safe at any instant: see docs/design/compact.md.</summary>
    /// <param name="batchBytes">Bytes of blocks to copy between two barriers; at least one block is.</param>
    /// <param name="progress">Told how many bytes of the file are gone, and how many will be at most.</param>
    /// <param name="cancellationToken">Stops between blocks; the file is sound and as long as before.</param>
    /// <returns>Blocks moved.</returns>
    /// <exception cref="StorageException">The file failed, or NoSpace for a single block. The disk reads as before.</exception>
    ValueTask<long> PackAsync(long batchBytes, Action<long, long> progress, CancellationToken cancellationToken);
}

/// <summary>A block that is to lose its place.</summary>
/// <param name="Block">Which.</param>
/// <param name="ShowsParent">It reads like the parent, so that the parent may show; else as zeroes.</param>
internal readonly record struct DroppedBlock(long Block, bool ShowsParent);
