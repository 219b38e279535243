using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.ControlPlane.Jobs;

namespace Godwit.Host;

/// <summary>Writes what jobs do to the log.</summary>
internal sealed class JobLog(ILogger<JobLog> log) : IJobObserver
{
    public ValueTask StepStartingAsync(JobStepEvent step, CancellationToken cancellationToken)
    {
        log.LogInformation("job {Job}: {Direction}{Step}", step.Job, step.IsUndo ? "undo " : "", step.Step);
        return ValueTask.CompletedTask;
    }

    public void StepFailed(JobStepEvent step, Problem problem, Exception? cause)
    {
        // What we have words for needs no stack; anything else is a defect.
        var stack = problem.Code == ErrorCode.Internal ? cause : null;
        log.LogWarning(stack, "job {Job}: {Direction}{Step} failed: {Code} {Title}",
            step.Job, step.IsUndo ? "undo " : "", step.Step, problem.Code, problem.Title);
    }

    public void JobEnded(Job job) =>
        log.LogInformation("job {Job}: {Kind} of {Target} ended: {State} {Problem}", job.Id, job.Kind, job.Target, job.State, job.Problem?.Title);
}
