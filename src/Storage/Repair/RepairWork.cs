using Godwit.Storage.Files;

namespace Godwit.Storage.Repair;

/// <summary>A repair on its way: the draft and what has been found and done.</summary>
/// <param name="file">The draft; all changes go there.</param>
/// <param name="options">What is permitted.</param>
internal sealed class RepairWork(DraftFile file, RepairOptions options)
{
    private readonly List<RepairStep> _steps = [];

    public DraftFile File => file;

    public RepairOptions Options => options;

    public IReadOnlyList<RepairStep> Steps => _steps;

    /// <summary>What is behind this offset was not in the file: it was cut.</summary>
    public long DataEnd { get; set; } = file.Length;

    /// <summary>Takes note of a problem that is mended with nothing lost.</summary>
    public void Mended(long? offset, string problem, string action) => _steps.Add(new RepairStep(offset, problem, action, RepairOutcome.Mended));

    /// <summary>Takes note of a problem that cannot be mended without a loss.</summary>
    /// <returns>The loss is permitted, so do it.</returns>
    public bool MayGiveUp(long? offset, string problem, string action, LostRanges? lost = null)
    {
        _steps.Add(new RepairStep(offset, problem, action, options.Lossy ? RepairOutcome.MendedWithLoss : RepairOutcome.NeedsLossy)
        {
            Lost = lost?.All ?? [],
            LostBytes = lost?.Bytes ?? 0,
        });
        return options.Lossy;
    }

    /// <summary>Takes note of a problem that nothing can be done about.</summary>
    public void Impossible(long? offset, string problem, string advice) =>
        _steps.Add(new RepairStep(offset, problem, advice, RepairOutcome.Impossible));

    /// <summary>Gives up: nothing of the draft counts, and every step that was to be done is not.</summary>
    public void Abandon(long? offset, string problem, string advice)
    {
        Postpone();
        Impossible(offset, problem, advice);
    }

    /// <summary>Does nothing yet of all that was to be done: it would hide a problem that only a loss can mend.</summary>
    public void Postpone()
    {
        file.Reset();
        _steps.RemoveAll(static step => step.Outcome is RepairOutcome.Mended or RepairOutcome.MendedWithLoss);
    }
}
