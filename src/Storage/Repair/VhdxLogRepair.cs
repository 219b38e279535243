using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Repair;

/// <summary>Replays the log, or drops one that cannot be replayed.</summary>
/// <remarks>[MS-VHDX] section 2.3.3.</remarks>
internal static class VhdxLogRepair
{
    private const string Unknown = "which bytes of the disk that are cannot be told: blocks that were new or trimmed shortly before the damage";

    /// <summary>Leaves a file whose log is empty.</summary>
    /// <returns>False when the log must be right before anything else can be looked at.</returns>
    public static async ValueTask<bool> RunAsync(RepairWork work, VhdxHeaders headers, CancellationToken cancellationToken)
    {
        if (!headers.Current.HasLog)
            return true;
        var at = headers.Current.LogOffset;
        try
        {
            var entries = await new VhdxLogReader(work.File, headers.Current, Boot.Id).FindActiveAsync(cancellationToken).ConfigureAwait(false);
            if (entries.Count == 0)
            {
                await MarkEmptyAsync(headers).ConfigureAwait(false);
                work.Mended(at, "the header names a log in which nothing was ever written", "the log is marked empty; nothing was in it");
                return true;
            }

            await ReplayAsync(work, headers, cancellationToken).ConfigureAwait(false);
            work.DataEnd = work.File.Length;
            work.Mended(at, $"the log holds changes that are not in their places yet ({entries.Count} entries)", "they are put there and the log is marked empty");
            return true;
        }
        catch (StorageException damage) when (damage.Kind == StorageErrorKind.Corrupt)
        {
            return await ReplayCutAsync(work, headers, damage, cancellationToken).ConfigureAwait(false)
                ?? await DropAsync(work, headers, damage).ConfigureAwait(false);
        }
        catch (StorageException tooMuch) when (tooMuch.Kind == StorageErrorKind.Unsupported)
        {
            work.Abandon(at, tooMuch.Reason, "open the image for writing once to replay its log, then repair it");
            return false;
        }
    }

    private static async ValueTask ReplayAsync(RepairWork work, VhdxHeaders headers, CancellationToken cancellationToken) =>
        await VhdxLogReplay.ApplyAsync(work.File, headers, Boot.Id, work.Options.NewGuid(), cancellationToken).ConfigureAwait(false);

    private static ValueTask MarkEmptyAsync(VhdxHeaders headers) =>
        headers.UpdateAsync(headers.Current with { LogGuid = Guid.Empty }, both: true, static () => ValueTask.CompletedTask);

    /// <summary>A file that was cut after its log was written: the entries are good, what they point to may be gone.</summary>
    private static async ValueTask<bool?> ReplayCutAsync(
        RepairWork work, VhdxHeaders headers, StorageException damage, CancellationToken cancellationToken)
    {
        var length = work.File.Length;
        if (await LongerAsync(work, headers.Current, cancellationToken).ConfigureAwait(false) is not long needed)
            return null;
        if (!work.MayGiveUp(damage.Offset, damage.Reason, $"the log is replayed all the same; blocks behind {length} are listed with the block table"))
            return false;
        await work.File.SetLengthAsync(needed, cancellationToken).ConfigureAwait(false);
        await ReplayAsync(work, headers, cancellationToken).ConfigureAwait(false);
        work.DataEnd = length;
        return true;
    }

    /// <summary>The length with which the log can be replayed; null when no length helps.</summary>
    private static async ValueTask<long?> LongerAsync(RepairWork work, VhdxHeader header, CancellationToken cancellationToken)
    {
        var grown = new DraftFile(work.File);
        await grown.SetLengthAsync(VhdxFormat.MaxFileLength, cancellationToken).ConfigureAwait(false);
        try
        {
            var entries = await new VhdxLogReader(grown, header, Boot.Id).FindActiveAsync(cancellationToken).ConfigureAwait(false);
            return entries.Count == 0 ? null : entries[^1].Header.FlushedFileOffset;
        }
        catch (StorageException damage) when (damage.Kind == StorageErrorKind.Corrupt)
        {
            return null;
        }
    }

    private static async ValueTask<bool> DropAsync(RepairWork work, VhdxHeaders headers, StorageException damage)
    {
        if (!work.MayGiveUp(damage.Offset, damage.Reason, $"the log is marked empty and its changes are given up; {Unknown}"))
            return false;
        await MarkEmptyAsync(headers).ConfigureAwait(false);
        return true;
    }
}
