using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Repair;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Engine;

/// <summary>
/// Repairs an image that may hold anything, in place and with an undo file, with and without loss, and judges: the plan writes nothing,
/// what it announces is what a check then finds, a second repair has nothing to do, the undo file brings every byte back, and what
/// is called sound holds everything that a sound image holds.
/// </summary>
/// <param name="format">What the image is.</param>
/// <param name="checkAsync">Checks an image.</param>
/// <param name="judgeAsync">Judges a sound image as the other targets do.</param>
internal sealed class RepairExercise(
    ImageFormat format, Func<IStorageFile, ValueTask<CheckReport>> checkAsync, Func<MemoryFile, Signals, ValueTask> judgeAsync)
{
    // What is written is in memory twice over here; a real image's lies on a disk.
    private const long MaxChanged = 32L << 20;
    // A check before, the repair itself, and a check after, one after the other; an opening at last where the footer moves.
    private const int OpensOfPlan = 4;
    private static readonly Guid Undo = new("00010203-0405-0607-0809-0a0b0c0d0e0f");
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>Judges the repairs of an image; it is not changed.</summary>
    /// <exception cref="FuzzFinding">Something did not hold.</exception>
    public async ValueTask RunAsync(MemoryFile file, Signals signals)
    {
        var careful = await RepairAsync(file.Copy(), lossy: false, signals);
        if (careful is { NeedsLossy: true })
            await RepairAsync(file.Copy(), lossy: true, signals);
    }

    private async ValueTask<RepairPlan?> RepairAsync(MemoryFile image, bool lossy, Signals signals)
    {
        var plan = await PlanAsync(image, lossy, signals);
        if (plan is null)
            return null;
        foreach (var step in plan.Steps)
            signals.Note($"{step.Outcome} {Signals.ShapeOf(step.Problem)} {Signals.ShapeOf(step.Action)}");
        if (plan.Before.IsSound && !plan.After.IsSound)
            throw new FuzzFinding($"a repair damages a sound image: {ErrorOf(plan.After)}");
        if (plan.ChangesFile && plan.ChangedBytes <= MaxChanged)
            await ApplyAsync(plan, image, lossy, signals);
        return plan;
    }

    private static string StepsOf(RepairPlan plan) => string.Join(" | ", plan.Steps.Select(static step => $"{step.Outcome}: {step.Problem}"));

    private async ValueTask<RepairPlan?> PlanAsync(MemoryFile image, bool lossy, Signals signals)
    {
        var options = new RepairOptions { Format = format, Lossy = lossy, NewGuid = static () => Undo };
        var readOnly = new StrictFile(image.Reopen(readOnly: true), readOnly: true, mayWrite: false);
        var (plan, error) = await DiskExercise.GuardAsync("plan", signals, () => ImageRepair.PlanAsync(readOnly, options, None), OpensOfPlan);
        return error is null || error.Kind == StorageErrorKind.Unsupported
            ? plan : throw new FuzzFinding($"a plan fails with {error.Kind}: {error.Reason}", error);
    }

    private async ValueTask ApplyAsync(RepairPlan plan, MemoryFile image, bool lossy, Signals signals)
    {
        var before = image.Copy();
        var undo = new MemoryFile(path: "undo");
        var journal = await UndoJournal.CreateAsync(undo, image, Undo, None);
        var target = new StrictFile(image.Reopen(), readOnly: false, mayWrite: true);
        await MustAsync("apply", signals, () => plan.ApplyAsync(target, journal, static () => { }, static _ => { }, None));

        var (report, _) = await DiskExercise.GuardAsync("check", signals, () => checkAsync(image.Reopen(readOnly: true)));
        if (report is null || !report.Findings.SequenceEqual(plan.After.Findings))
            throw new FuzzFinding($"announced: {string.Join("; ", plan.After.Findings)}; found: {string.Join("; ", report?.Findings ?? [])}");
        if (await PlanAsync(image, lossy, signals) is { ChangesFile: true } again)
            throw new FuzzFinding($"a second repair changes more: {StepsOf(again)}; the first one: {StepsOf(plan)}");
        if (report.IsSound)
            await judgeAsync(image.Copy(), signals);
        await PutBackAsync(before, image.Reopen(), undo, signals);
    }

    private static async ValueTask PutBackAsync(MemoryFile before, MemoryFile image, MemoryFile undo, Signals signals)
    {
        var journal = await UndoJournal.OpenAsync(undo.Reopen(), None);
        await MustAsync("put back", signals, () => ImageRestore.RunAsync(image, journal, evenIfChanged: false, static _ => { }, None));
        if (image.Length != before.Length)
            throw new FuzzFinding($"put back, the image has {image.Length} bytes instead of {before.Length}");
        foreach (var range in journal.Ranges.All)
        {
            for (var at = range.Start; at < range.End; at += UndoJournal.MaxBytes)
            {
                var part = (int)Math.Min(UndoJournal.MaxBytes, range.End - at);
                var (expected, actual) = (await before.ReadBytesAsync(at, part), await image.ReadBytesAsync(at, part));
                if (!actual.AsSpan().SequenceEqual(expected))
                    throw new FuzzFinding($"the undo file does not bring back what was at {at}");
            }
        }
    }

    private static async ValueTask MustAsync(string what, Signals signals, Func<ValueTask> step)
    {
        var (_, error) = await DiskExercise.GuardAsync(what, signals, async () =>
        {
            await step();
            return true;
        });
        if (error is not null)
            throw new FuzzFinding($"{what} fails: {error.Kind}: {error.Reason}", error);
    }

    private static string ErrorOf(CheckReport report) =>
        report.Findings.First(static finding => finding.Severity == CheckSeverity.Error).Message;
}
