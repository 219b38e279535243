using Godwit.Api;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>Where tests cancel, fail and kill: once, at one step.</summary>
internal sealed class FaultPoint : IJobObserver
{
    private readonly Lock _gate = new();

    /// <summary>Every step that acted, in order; undoing is marked.</summary>
    public List<string> Trace { get; } = [];

    /// <summary>What to do before (false) or after (true) a step acts.</summary>
    public Func<JobStepEvent, bool, Task> At { get; set; } = (_, _) => Task.CompletedTask;

    /// <summary>The daemon stands still as if killed.</summary>
    public bool Killed { get; set; }

    public List<Problem> Failures { get; } = [];

    public async ValueTask StepStartingAsync(JobStepEvent step, CancellationToken cancellationToken) => await At(step, false);

    public async ValueTask StepActedAsync(JobStepEvent step, CancellationToken cancellationToken)
    {
        lock (_gate)
            Trace.Add(step.IsUndo ? "undo " + step.Step : step.Step);
        await At(step, true);
    }

    public void StepFailed(JobStepEvent step, Problem problem, Exception? cause)
    {
        lock (_gate)
            Failures.Add(problem);
    }

    /// <summary>Forgets what has acted so far.</summary>
    public void Forget()
    {
        lock (_gate)
            Trace.Clear();
    }

    /// <summary>Never comes back, as a killed process does not.</summary>
    public Task KillAsync()
    {
        Killed = true;
        return new TaskCompletionSource().Task;
    }
}
