using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>What a killed process left in the log, to be continued as if it had not died.</summary>
/// <remarks>
/// <para>Only for a log that was begun in this start of the computer (<see cref="VhdxLogName"/>): the kernel then has everything the process
/// wrote, in memory or on the storage, and nothing has to become stable before the disk may be written again. What is not known
/// any more is which entries are stable; none is taken for it.</para>
/// <para>Nothing is written to read it. The reasons are in docs/design/vhdx.md, "After a kill".</para>
/// </remarks>
internal sealed class VhdxLogLeft
{
    private readonly Dictionary<long, Page> _pages = [];

    private readonly long _fileLength;

    private VhdxLogLeft(VhdxLogRun run, long fileLength) => (Run, _fileLength) = (run, fileLength);

    /// <summary>The entries.</summary>
    public VhdxLogRun Run { get; }

    /// <summary>Number of the newest entry.</summary>
    public ulong Sequence => Run.Entries[Run.Newest].Header.Sequence;

    /// <summary>A length the file has after any power cut.</summary>
    public long StableLength => Run.Entries[Run.Newest].Header.FlushedFileOffset;

    /// <summary>The newest image of every page that may not be in its place, by its offset in the file.</summary>
    public IReadOnlyDictionary<long, Page> Pages => _pages;

    /// <summary>Reads the log.</summary>
    /// <returns>Null when it has to be replayed: it is another program's, of an earlier start of the computer, empty, or holds what
    /// this implementation does not log while a disk is in use.</returns>
    /// <exception cref="StorageException">As for a replay.</exception>
    public static async ValueTask<VhdxLogLeft?> ReadAsync(
        IStorageFile file, VhdxHeader header, Guid bootId, CancellationToken cancellationToken)
    {
        if (!VhdxLogName.IsOf(bootId, header.LogGuid))
            return null;
        var reader = new VhdxLogReader(file, header, bootId);
        if (await reader.FindRunAsync(cancellationToken).ConfigureAwait(false) is not VhdxLogRun run || !CanContinue(run, file.Length))
            return null;
        var left = new VhdxLogLeft(run, file.Length);
        for (var index = run.TailOf(run.Newest); index <= run.Newest; index++)
        {
            if (!await left.AddAsync(reader, index, cancellationToken).ConfigureAwait(false))
                return null;
        }

        return left;
    }

    /// <summary>All pages are of the table or behind everything that is in a region.</summary>
    public bool IsWithin(VhdxRegionTable regions) => _pages.Keys.All(offset =>
        offset >= VhdxFormat.HeaderSectionEnd
        && regions.Regions.All(region => offset < region.Offset || offset >= region.End || region == regions.Bat));

    private static bool CanContinue(VhdxLogRun run, long fileLength)
    {
        var lastSealed = run.NewestSealed;
        var start = lastSealed < 0 ? -1 : run.TailOf(lastSealed);
        if (start < 0 || fileLength < run.Entries[run.Newest].Header.LastFileOffset)
            return false;

        // The newest sealed entry is what the next barrier makes the one to fall back to, so it must need no entry that a power cut
        // voids. It does where a flush was killed while it sealed. (Tails never go back: what the newest entry needs is covered.)
        for (var index = Math.Min(start, run.TailOf(run.Newest)); index < lastSealed; index++)
        {
            if (run.Entries[index].Unsealed is not null)
                return false;
        }

        return true;
    }

    private async ValueTask<bool> AddAsync(VhdxLogReader reader, int index, CancellationToken cancellationToken)
    {
        // A replay makes the file long enough for a page behind its end; a session of ours has none there.
        var hasOnlyPages = true;
        await reader.ForEachChangeAsync(
            Run.Entries[index],
            (change, image) =>
            {
                hasOnlyPages &= !change.IsZero && change.End <= _fileLength;
                if (hasOnlyPages)
                    _pages[change.FileOffset] = new Page(image.ToArray(), Run.PositionOf(index));
                return ValueTask.CompletedTask;
            },
            cancellationToken).ConfigureAwait(false);
        return hasOnlyPages && _pages.Count <= VhdxLogWriter.MaxUnappliedPages;
    }

    /// <summary>A page in the log.</summary>
    /// <param name="Image">4 KiB.</param>
    /// <param name="Position">The entry that has it.</param>
    internal readonly record struct Page(byte[] Image, long Position);
}
