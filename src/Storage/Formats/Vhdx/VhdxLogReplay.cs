using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Applies what a crash left in the log: to the file, or in memory for an opening that must not write.</summary>
/// <remarks>[MS-VHDX] section 2.3.3. Applying twice gives the same file, so an interrupted replay is simply done again.</remarks>
internal static class VhdxLogReplay
{
    private const long MaxOverlayBytes = 256 * VhdxFormat.MiB;

    /// <summary>Applies the log to the file and marks it empty. Three flushes, and two more when entries are unsealed.</summary>
    /// <param name="file">The file; open for writing.</param>
    /// <param name="headers">Its headers; the current one names a log.</param>
    /// <param name="bootId">The running start of the computer.</param>
    /// <param name="fileWriteGuid">The opening's new identity of the file's content.</param>
    /// <param name="cancellationToken">Leaves a file that must be replayed again.</param>
    /// <returns>False when the log has no entry: nothing was written, and the header still names it.</returns>
    public static async ValueTask<bool> ApplyAsync(
        IStorageFile file, VhdxHeaders headers, Guid bootId, Guid fileWriteGuid, CancellationToken cancellationToken)
    {
        var reader = new VhdxLogReader(file, headers.Current, bootId);
        var entries = await reader.FindActiveAsync(cancellationToken).ConfigureAwait(false);
        if (entries.Count == 0)
            return false;
        await SealAsync(file, headers.Current, entries, cancellationToken).ConfigureAwait(false);

        // The new identity and the pages share one barrier: until it is through, the other header still asks for a replay.
        await headers.WriteWithoutBarrierAsync(headers.Current with { FileWriteGuid = fileWriteGuid }).ConfigureAwait(false);
        foreach (var entry in entries)
        {
            await reader.ForEachChangeAsync(
                entry, (change, page) => ApplyAsync(file, change, page, cancellationToken), cancellationToken).ConfigureAwait(false);
        }

        await GrowAsync(file, entries[^1].Header.LastFileOffset, cancellationToken).ConfigureAwait(false);
        await file.FlushAsync(cancellationToken).ConfigureAwait(false);
        await headers.UpdateAsync(
            headers.Current with { LogGuid = Guid.Empty }, both: true, () => file.FlushAsync(CancellationToken.None)).ConfigureAwait(false);
        return true;
    }

    /// <summary>A view of the file as it will be after the replay; null when the log has no entry. Nothing is written.</summary>
    public static async ValueTask<VhdxReplayedFile?> OverlayAsync(
        IStorageFile file, VhdxHeader header, Guid bootId, CancellationToken cancellationToken)
    {
        var reader = new VhdxLogReader(file, header, bootId);
        var entries = await reader.FindActiveAsync(cancellationToken).ConfigureAwait(false);
        if (entries.Count == 0)
            return null;
        var patches = new List<VhdxReplayedFile.Patch>();
        long bytes = 0;
        foreach (var entry in entries)
        {
            bytes += entry.Header.Length;
            if (bytes > MaxOverlayBytes)
            {
                throw new StorageException(StorageErrorKind.Unsupported,
                    $"the log holds more than {MaxOverlayBytes} bytes of changes; open the file for writing once to apply them",
                    file.Path, header.LogOffset, "open");
            }

            await reader.ForEachChangeAsync(
                entry,
                (change, page) =>
                {
                    patches.Add(new VhdxReplayedFile.Patch(change.FileOffset, change.End, change.IsZero ? null : page.ToArray()));
                    return ValueTask.CompletedTask;
                },
                cancellationToken).ConfigureAwait(false);
        }

        return new VhdxReplayedFile(file, patches, entries[^1].Header.LastFileOffset);
    }

    /// <summary>Does what the killed process would have done at its next flush: the bytes first, then the entries that show them.
    /// A power cut during the replay then finds either a log without these entries or a log that repairs torn pages.</summary>
    private static async ValueTask SealAsync(
        IStorageFile file, VhdxHeader header, IReadOnlyList<VhdxLogPlace> entries, CancellationToken cancellationToken)
    {
        if (!entries.Any(static entry => entry.Unsealed is not null))
            return;
        await file.FlushAsync(cancellationToken).ConfigureAwait(false);
        foreach (var entry in entries)
        {
            if (entry.Unsealed is uint checksum)
            {
                var at = header.LogOffset + entry.Position + VhdxLogEntryHeader.ChecksumAt;
                await file.WriteAsync(at, VhdxLogSeal.ToBytes(checksum), cancellationToken).ConfigureAwait(false);
            }
        }

        await file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask ApplyAsync(
        IStorageFile file, VhdxLogDescriptor change, ReadOnlyMemory<byte> page, CancellationToken cancellationToken)
    {
        if (!change.IsZero)
        {
            await file.WriteAsync(change.FileOffset, page, cancellationToken).ConfigureAwait(false);
            return;
        }

        if (change.ZeroLength == 0)
            return;
        await GrowAsync(file, change.End, cancellationToken).ConfigureAwait(false);
        await file.PunchHoleAsync(change.FileOffset, change.ZeroLength, cancellationToken).ConfigureAwait(false);
    }

    private static ValueTask GrowAsync(IStorageFile file, long length, CancellationToken cancellationToken) =>
        file.Length < length ? file.SetLengthAsync(length, cancellationToken) : ValueTask.CompletedTask;
}
