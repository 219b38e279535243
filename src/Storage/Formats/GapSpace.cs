using Godwit.Storage.Files;

namespace Godwit.Storage.Formats;

/// <summary>Gives the space of gaps that stay in a file back to the host.</summary>
internal static class GapSpace
{
    // A hole is whole pages of the host; smaller ones give nothing back.
    private const int Smallest = 4096;

    /// <summary>Punches what has data. Nobody owns any of it, and nothing that a power cut may bring back does.</summary>
    /// <exception cref="StorageException">The file failed; the gaps are still nobody's.</exception>
    public static async ValueTask PunchAsync(IStorageFile file, IEnumerable<FileRange> gaps, CancellationToken cancellationToken)
    {
        foreach (var gap in gaps)
        {
            var end = Math.Min(gap.End, file.Length);
            if (end - gap.Start < Smallest)
                continue;
            cancellationToken.ThrowIfCancellationRequested();
            var run = await file.GetExtentAsync(gap.Start, end - gap.Start, cancellationToken).ConfigureAwait(false);
            if (!run.ReadsAsZeroes || run.End < end)
                await file.PunchHoleAsync(gap.Start, end - gap.Start, cancellationToken).ConfigureAwait(false);
        }
    }
}
