using Godwit.Api;

namespace Godwit.ControlPlane.Jobs;

/// <summary>Sees every step before and after it acts. The log is one; in tests it is where faults are put in: an
/// exception counts as the step's failure.</summary>
public interface IJobObserver
{
    /// <summary>The step is journalled as running and has not acted yet.</summary>
    ValueTask StepStartingAsync(JobStepEvent step, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>The step has acted and is not journalled as done yet.</summary>
    ValueTask StepActedAsync(JobStepEvent step, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>A step failed, or the journal could not be written.</summary>
    void StepFailed(JobStepEvent step, Problem problem, Exception? cause)
    {
    }

    /// <summary>The job has ended.</summary>
    void JobEnded(Api.Jobs.Job job)
    {
    }
}

/// <summary>A step of a job, about to act or just done.</summary>
/// <param name="Job">The job.</param>
/// <param name="Kind">The job's kind.</param>
/// <param name="Step">The step's name.</param>
/// <param name="IsUndo">It is being undone.</param>
public sealed record JobStepEvent(Guid Job, string Kind, string Step, bool IsUndo);
