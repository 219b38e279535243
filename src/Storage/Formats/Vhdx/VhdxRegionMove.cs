using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Puts a region of the file, rewritten, behind everything else. Offline.</summary>
/// <remarks>[MS-VHDX] 2.2.3: two copies of the region table, either will do. The new place is complete and stable before the copy that
/// does not rule names it, and that one is stable before the other is written: at every moment a valid copy names a complete
/// region. Until both copies are stable either place may be read, so both must be right until then.</remarks>
internal static class VhdxRegionMove
{
    /// <summary>Moves it.</summary>
    /// <param name="file">The image, open for writing and by nobody else, with an empty log.</param>
    /// <param name="headers">Its headers.</param>
    /// <param name="regions">Its regions.</param>
    /// <param name="old">Which one.</param>
    /// <param name="length">The bytes it is to have.</param>
    /// <param name="fill">Writes the region at its new place, which reads as zeroes.</param>
    /// <exception cref="StorageException">NoSpace: nothing has changed; or the file failed.</exception>
    public static async ValueTask RunAsync(
        IStorageFile file, VhdxHeaders headers, VhdxRegionTable regions, VhdxRegion old, long length, Func<long, ValueTask> fill)
    {
        var oldLength = file.Length;
        var place = old with { Offset = VhdxFormat.AlignUp(oldLength, VhdxFormat.MiB), Length = length };
        try
        {
            await file.SetLengthAsync(place.End, CancellationToken.None).ConfigureAwait(false);
            await fill(place.Offset).ConfigureAwait(false);
            await file.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception cause) when (cause is StorageException or OperationCanceledException)
        {
            await file.SetLengthAsync(oldLength, CancellationToken.None).ConfigureAwait(false);
            throw;
        }

        var header = headers.Current with { FileWriteGuid = Guid.NewGuid() };
        await headers.UpdateAsync(header, both: true, () => file.FlushAsync(CancellationToken.None)).ConfigureAwait(false);
        await regions.ReplaceAsync(file, [.. regions.Regions.Select(region => region.Id == place.Id ? place : region)]).ConfigureAwait(false);
        await file.PunchHoleAsync(old.Offset, old.Length, CancellationToken.None).ConfigureAwait(false);
        await file.FlushAsync(CancellationToken.None).ConfigureAwait(false);
    }
}
