namespace Godwit.Storage.Repair;

/// <summary>Entries of a block table that are wrong in the same way.</summary>
/// <param name="offset">Where in the file the first one is.</param>
/// <param name="name">What the first one is for.</param>
/// <param name="problem">What is wrong; {0} stands for their number.</param>
/// <param name="action">What is done about it.</param>
/// <param name="isLoss">Something is given up.</param>
internal sealed class TableProblem(long offset, string name, string problem, string action, bool isLoss)
{
    /// <summary>How many there are.</summary>
    public long Count { get; set; }

    /// <summary>Which bytes of the disk are given up.</summary>
    public LostRanges Lost { get; } = new();

    /// <summary>Adds the step.</summary>
    public void Tell(RepairWork work)
    {
        var number = Count == 1 ? $"one entry ({name})" : $"{Count} entries (the first one: {name})";
        var text = problem.Replace("{0}", number, StringComparison.Ordinal);
        if (isLoss)
            work.MayGiveUp(offset, text, action, Lost);
        else
            work.Mended(offset, text, action);
    }
}
