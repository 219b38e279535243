namespace Godwit.ControlPlane.Jobs;

/// <summary>
/// One act of a job. Both directions may be repeated after a crash at any point, so they ask the world how things are
/// instead of trusting what was said before.
/// </summary>
public interface IJobStep
{
    /// <summary>What it does, in a few words for people.</summary>
    string Name { get; }

    /// <summary>The phase it belongs to.</summary>
    string Phase { get; }

    /// <summary>Does it, or finds it done.</summary>
    Task RunAsync(JobContext context, CancellationToken cancellationToken);

    /// <summary>Takes back what <see cref="RunAsync"/> did, in whole or in part; fine when there is nothing to take back.</summary>
    Task UndoAsync(JobContext context, CancellationToken cancellationToken);
}

/// <summary>The step that holds a job's commit point: before it everything can be undone, after it the job only goes forward.</summary>
public interface ICommitStep : IJobStep
{
    /// <summary>Asks the world whether the commit point is passed. An exception means that it cannot be told now: the
    /// runner asks again until it knows.</summary>
    Task<bool> IsCommittedAsync(JobContext context, CancellationToken cancellationToken);
}
