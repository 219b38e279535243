using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Operations;

namespace Godwit.Storage.Repair;

/// <summary>Puts an image back as it was before a repair in place.</summary>
internal static class ImageRestore
{
    private const int Chunk = 1 << 20;

    /// <summary>Puts every saved byte and the length back. Works after a repair that was cut off anywhere, may itself be cut off and
    /// be done again, as often as one likes. Flushed when this returns.</summary>
    /// <param name="image">The image, open for writing.</param>
    /// <param name="undo">Its undo file, open for writing.</param>
    /// <param name="evenIfChanged">Although somebody has written the image since the repair.</param>
    /// <param name="progress">Told now and then.</param>
    /// <param name="cancellationToken">Gives up; to be done again then.</param>
    /// <exception cref="StorageException">InvalidRequest: the image is not as the repair left it, nothing was changed; or a file failed.</exception>
    public static async ValueTask RunAsync(
        IStorageFile image, UndoJournal undo, bool evenIfChanged, Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        if (!undo.IsOf(image) && !evenIfChanged)
        {
            throw new StorageException(StorageErrorKind.InvalidRequest,
                $"{undo.Path} was made for an image called {undo.ImageName}; give the image that name, or --lossy if this is it", image.Path, operation: "restore");
        }

        if (undo.State == UndoState.Applied && !evenIfChanged)
            await RequireUnchangedAsync(image, undo, cancellationToken).ConfigureAwait(false);
        if (undo.State != UndoState.Restoring)
        {
            await undo.AppendAsync(UndoRecordKind.Restoring, 0, 0, default, cancellationToken).ConfigureAwait(false);
            await undo.FlushAsync(cancellationToken).ConfigureAwait(false);
        }

        if (image.Length < undo.ImageLength)
            await image.SetLengthAsync(undo.ImageLength, cancellationToken).ConfigureAwait(false);
        var (done, total) = (0L, undo.Ranges.All.Sum(static range => range.Length));
        await undo.ForEachSavedAsync(
            async (offset, length, bytes) =>
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (bytes is ReadOnlyMemory<byte> was)
                    await image.WriteAsync(offset, was, cancellationToken).ConfigureAwait(false);
                else
                    await image.PunchHoleAsync(offset, length, cancellationToken).ConfigureAwait(false);
                progress(new OperationProgress("Restoring", done += length, total));
            },
            cancellationToken).ConfigureAwait(false);
        if (image.Length > undo.ImageLength)
            await image.SetLengthAsync(undo.ImageLength, cancellationToken).ConfigureAwait(false);
        await image.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>A checksum of the saved ranges as they are in the image now, as far as it reaches.</summary>
    public static async ValueTask<uint> ChecksumAsync(IStorageFile image, UndoJournal undo, CancellationToken cancellationToken)
    {
        var buffer = new byte[Chunk];
        uint crc = 0;
        foreach (var range in undo.Ranges.All)
        {
            for (var at = range.Start; at < Math.Min(range.End, image.Length);)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var part = buffer.AsMemory(0, (int)Math.Min(buffer.Length, Math.Min(range.End, image.Length) - at));
                await image.ReadAsync(at, part, cancellationToken).ConfigureAwait(false);
                crc = Crc32C.Append(crc, part.Span);
                at += part.Length;
            }
        }

        return crc;
    }

    private static async ValueTask RequireUnchangedAsync(IStorageFile image, UndoJournal undo, CancellationToken cancellationToken)
    {
        if (undo.Applied is not UndoRecord applied
            || (image.Length == applied.Offset && await ChecksumAsync(image, undo, cancellationToken).ConfigureAwait(false) == applied.Length))
        {
            return;
        }

        throw new StorageException(StorageErrorKind.InvalidRequest,
            $"it is not as the repair left it: it was written since, or {undo.Path} belongs to another image; putting old bytes back would damage it (--lossy does it all the same)",
            image.Path, operation: "restore");
    }
}
