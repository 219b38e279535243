using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Engine;

/// <summary>
/// Uses one image, which may hold anything, in every way there is, and judges: an error is a <see cref="StorageException"/>,
/// nothing is read outside the file, an opening for reading writes nothing, every opening shows the same, a check and an open
/// agree, memory is bounded.
/// </summary>
/// <param name="openAsync">Opens an image; true for reading only.</param>
/// <param name="checkAsync">Checks an image.</param>
internal sealed class DiskExercise(
    Func<IStorageFile, bool, ValueTask<BlockDevice>> openAsync, Func<IStorageFile, ValueTask<CheckReport>> checkAsync)
{
    private const long MaxAllocated = 64L << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>Judges an image; it is not changed.</summary>
    /// <exception cref="FuzzFinding">Something did not hold.</exception>
    public async ValueTask RunAsync(MemoryFile file, Signals signals)
    {
        var (report, checkError) = await GuardAsync("check", signals, () => checkAsync(Strict(file.Reopen(readOnly: true), mayWrite: false)));
        if (report is null)
            throw new FuzzFinding($"a check throws {checkError!.Kind}: {checkError.Reason}", checkError);
        NoteFindings(report, signals);

        var first = await SurveyAsync(Strict(file.Reopen(readOnly: true), mayWrite: false), signals);
        CheckAgreement(report, first);
        if (first.Content is null)
        {
            await RefusedAlikeAsync(file, first.Error!, signals);
            return;
        }

        await WriteAsync(file.Copy(), first.Content, signals);
    }

    private static StrictFile Strict(MemoryFile file, bool mayWrite) => new(file, file.IsReadOnly, mayWrite);

    private static void NoteFindings(CheckReport report, Signals signals)
    {
        foreach (var finding in report.Findings)
            signals.Note($"{finding.Severity} {Signals.ShapeOf(finding.Message)}");
    }

    private static void CheckAgreement(CheckReport report, (DiskContent? Content, StorageException? Error) opened)
    {
        if (opened.Error is { Kind: StorageErrorKind.Corrupt } error && report.IsSound)
            throw new FuzzFinding($"an open refuses what a check finds sound: {error.Reason}", error);
        if (opened.Content is not null && !report.IsSound)
            throw new FuzzFinding($"an open accepts what a check finds damaged: {FirstError(report)}");
    }

    private static string FirstError(CheckReport report) =>
        report.Findings.FirstOrDefault(finding => finding.Severity == CheckSeverity.Error)?.Message ?? "an error that is not listed";

    /// <summary>What cannot be opened for reading cannot be opened for writing either, and stays as it is.</summary>
    private async ValueTask RefusedAlikeAsync(MemoryFile file, StorageException error, Signals signals)
    {
        var copy = file.Copy();
        var (disk, _) = await GuardAsync("open for writing", signals, () => openAsync(Strict(copy, mayWrite: true), false));
        if (disk is null)
            return;
        await disk.DisposeAsync();
        if (error.Kind == StorageErrorKind.Corrupt)
            throw new FuzzFinding($"refused for reading but not for writing: {error.Reason}", error);
    }

    private async ValueTask<(DiskContent? Content, StorageException? Error)> SurveyAsync(StrictFile file, Signals signals)
    {
        var (disk, error) = await GuardAsync("open", signals, () => openAsync(file, true));
        if (disk is null)
            return (null, error);
        await using (disk)
        {
            var (content, failed) = await GuardAsync("read", signals, () => DiskContent.SurveyAsync(disk));

            // Sound enough to open, yet unreadable in places: an open would have had to find that.
            return content is null ? throw new FuzzFinding($"opens, but cannot be read: {failed!.Message}", failed) : (content, null);
        }
    }

    private async ValueTask WriteAsync(MemoryFile file, DiskContent content, Signals signals)
    {
        var (disk, error) = await GuardAsync("open for writing", signals, () => openAsync(Strict(file, mayWrite: true), false));
        if (disk is null)
            throw new FuzzFinding($"opens for reading but not for writing: {error!.Kind}: {error.Reason}", error);
        await GuardAsync("compare", signals, () => content.MustBeOnAsync(disk, "the opening for writing"));
        var (_, failed) = await GuardAsync("write", signals, () => content.ChangeAsync(disk));
        var (_, ended) = await GuardAsync("close", signals, () => CloseAsync(disk));
        if (failed is not null || ended is not null)
            return;

        var again = file.Reopen(readOnly: true);
        var (reader, refused) = await GuardAsync("reopen", signals, () => openAsync(Strict(again, mayWrite: false), true));
        if (reader is null)
            throw new FuzzFinding($"cannot be opened after it was written and closed: {refused!.Kind}: {refused.Reason}", refused);
        await using (reader)
            await GuardAsync("compare", signals, () => content.MustBeOnAsync(reader, "the opening after writing"));
        var (report, _) = await GuardAsync("check", signals, () => checkAsync(Strict(file.Reopen(readOnly: true), mayWrite: false)));
        if (report is { IsSound: false })
            throw new FuzzFinding($"damaged after it was written and closed: {FirstError(report)}");
    }

    private static async ValueTask<bool> CloseAsync(BlockDevice disk)
    {
        await disk.DisposeAsync();
        return true;
    }

    /// <summary>Runs a step: gives back its result or its honest error; anything else is a finding.</summary>
    internal static async ValueTask<(T? Result, StorageException? Error)> GuardAsync<T>(
        string what, Signals signals, Func<ValueTask<T>> step, int opens = 1)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            var result = await step();
            CheckAllocated(what, before, opens * MaxAllocated);
            return (result, null);
        }
        catch (StorageException error)
        {
            CheckAllocated(what, before, opens * MaxAllocated);
            if (string.IsNullOrWhiteSpace(error.Reason))
                throw new FuzzFinding($"{what}: an error without a reason", error);
            signals.Note(what, error);
            return (default, error);
        }
        catch (Exception error) when (error is not FuzzFinding)
        {
            var frame = error.StackTrace?.Split('\n').FirstOrDefault()?.Trim();
            throw new FuzzFinding($"{what}: {error.GetType().Name}: {error.Message} {frame}", error);
        }
    }

    private static void CheckAllocated(string what, long before, long limit)
    {
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        if (allocated > limit)
            throw new FuzzFinding($"{what}: allocates more than {limit >> 20} MiB: {allocated}");
    }
}
