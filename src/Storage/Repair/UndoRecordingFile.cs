using Godwit.Storage.Files;

namespace Godwit.Storage.Repair;

/// <summary>A file that saves what stands in a place, flushed, before it changes the place for the first time.</summary>
/// <remarks>One request at a time. Neither file is owned. Bytes behind the image's first length are never saved: putting back cuts
/// them off.</remarks>
/// <param name="image">The file.</param>
/// <param name="undo">Where to save.</param>
internal sealed class UndoRecordingFile(IStorageFile image, UndoJournal undo) : IStorageFile
{
    private readonly byte[] _buffer = new byte[UndoJournal.MaxBytes];

    /// <inheritdoc/>
    public string Path => image.Path;

    /// <inheritdoc/>
    public long Length => image.Length;

    /// <inheritdoc/>
    public bool IsReadOnly => image.IsReadOnly;

    /// <summary>Saves ranges that are going to be changed, with one flush for all of them.</summary>
    /// <param name="ranges">The ranges; what is saved already or behind the image's first length is left out.</param>
    /// <param name="progress">Bytes saved and bytes there are to save.</param>
    /// <param name="cancellationToken">Gives up; nothing has been changed.</param>
    public async ValueTask PrepareAsync(
        IReadOnlyList<FileRange> ranges, Action<long, long> progress, CancellationToken cancellationToken)
    {
        var missing = ranges.SelectMany(range => undo.Ranges.Missing(range.Start, Math.Min(range.End, undo.ImageLength) - range.Start)).ToList();
        var (done, total) = (0L, missing.Sum(static range => range.Length));
        foreach (var range in missing)
        {
            for (var at = range.Start; at < range.End;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var saved = await SaveAsync(at, range.End - at, cancellationToken).ConfigureAwait(false);
                at += saved;
                progress(done += saved, total);
            }
        }

        if (missing.Count > 0)
            await undo.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Notes that all changes are made and flushed, and how the image looks now.</summary>
    public async ValueTask CompleteAsync()
    {
        await image.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        var checksum = await ImageRestore.ChecksumAsync(image, undo, CancellationToken.None).ConfigureAwait(false);
        await undo.AppendAsync(UndoRecordKind.Applied, image.Length, checksum, default, CancellationToken.None).ConfigureAwait(false);
        await undo.FlushAsync(CancellationToken.None).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        image.ReadAsync(offset, buffer, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        await PrepareAsync(offset, buffer.Length, cancellationToken).ConfigureAwait(false);
        await image.WriteAsync(offset, buffer, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken) => image.FlushAsync(cancellationToken);

    /// <inheritdoc/>
    public async ValueTask SetLengthAsync(long length, CancellationToken cancellationToken)
    {
        await PrepareAsync(length, image.Length - length, cancellationToken).ConfigureAwait(false);
        await image.SetLengthAsync(length, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask PunchHoleAsync(long offset, long length, CancellationToken cancellationToken)
    {
        await PrepareAsync(offset, length, cancellationToken).ConfigureAwait(false);
        await image.PunchHoleAsync(offset, length, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask AllocateZeroesAsync(long offset, long length, CancellationToken cancellationToken)
    {
        await PrepareAsync(offset, length, cancellationToken).ConfigureAwait(false);
        await image.AllocateZeroesAsync(offset, length, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken) =>
        image.GetExtentAsync(offset, length, cancellationToken);

    /// <summary>Closes nothing.</summary>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private ValueTask PrepareAsync(long offset, long length, CancellationToken cancellationToken) =>
        length <= 0 ? ValueTask.CompletedTask : PrepareAsync([new FileRange(offset, length)], static (_, _) => { }, cancellationToken);

    private async ValueTask<long> SaveAsync(long at, long length, CancellationToken cancellationToken)
    {
        var run = await image.GetExtentAsync(at, length, cancellationToken).ConfigureAwait(false);
        if (run.ReadsAsZeroes)
        {
            await undo.AppendAsync(UndoRecordKind.Zeroes, at, run.Length, default, cancellationToken).ConfigureAwait(false);
            return run.Length;
        }

        var part = _buffer.AsMemory(0, (int)Math.Min(run.Length, _buffer.Length));
        await image.ReadAsync(at, part, cancellationToken).ConfigureAwait(false);
        await undo.AppendAsync(UndoRecordKind.Bytes, at, part.Length, part, cancellationToken).ConfigureAwait(false);
        return part.Length;
    }
}
