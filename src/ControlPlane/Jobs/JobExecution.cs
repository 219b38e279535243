using Godwit.Api;
using Godwit.Api.Jobs;

namespace Godwit.ControlPlane.Jobs;

/// <summary>
/// Drives one job: steps forward, or back. Every turn is journalled before it acts, and any exception (of a step, an
/// observer or the journal) leads to a turn that is safe to repeat.
/// </summary>
internal sealed class JobExecution(
    JobRunner runner, JobEntry job, IReadOnlyList<IJobStep> steps, TimeProvider time, IReadOnlyList<IJobObserver> observers)
{
    private const int Attempts = 5;
    private static readonly TimeSpan UndoLimit = TimeSpan.FromSeconds(60);

    private readonly JobContext _context = new(runner, job, time);
    private readonly CancellationTokenSource _stop =
        CancellationTokenSource.CreateLinkedTokenSource(job.Cancel.Token, runner.Shutdown);

    public static Problem CancelledProblem { get; } = new(ErrorCode.Cancelled, "The job was cancelled.");

    public async Task RunAsync()
    {
        while (!runner.Shutdown.IsCancellationRequested)
        {
            try
            {
                await TurnAsync().ConfigureAwait(false);
                return;
            }
            catch (OperationCanceledException) when (runner.Shutdown.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // Only the journal throws here. What was to be written is in memory: wait and repeat.
                Tell("journal", false, Describe("journal", e), e);
                await DelayAsync(TimeSpan.FromSeconds(5)).ConfigureAwait(false);
            }
        }
    }

    private async Task TurnAsync()
    {
        if (job.HasEnded)
        {
            runner.End(job, job.State);
            return;
        }
        if (job.State is JobState.Queued or JobState.Running)
        {
            await ForwardAsync().ConfigureAwait(false);
        }
        if (job.State == JobState.Undoing)
        {
            await BackwardAsync().ConfigureAwait(false);
            runner.End(job, job.Problem?.Code == ErrorCode.Cancelled ? JobState.Cancelled : JobState.Failed);
        }
        else
        {
            runner.End(job, job.Problem is null ? JobState.Succeeded : JobState.Failed);
        }
    }

    private async Task ForwardAsync()
    {
        var attempt = 0;
        while (job.Current < steps.Count && job.State != JobState.Undoing)
        {
            var step = steps[job.Current];
            if (!runner.Change(job, job.Current, () => Begin(step)))
            {
                return;
            }
            var problem = await TryAsync(step, undo: false, Token()).ConfigureAwait(false);
            if (problem is null)
            {
                attempt = 0;
                runner.Change(job, job.Current, () => Advance(JobStepState.Done));
            }
            else if (!job.Committed || (step is ICommitStep commit && !await IsCommittedAsync(commit).ConfigureAwait(false)))
            {
                runner.Change(job, null, () => Turn(problem));
            }
            else if (step is not ICommitStep && ++attempt >= Attempts)
            {
                attempt = 0;
                runner.Change(job, job.Current, () => GiveUp(problem));
            }
            else
            {
                // Past the commit point there is only forward. The commit step itself is repeated until it is through.
                await DelayAsync(BackOff(attempt)).ConfigureAwait(false);
            }
        }
    }

    private async Task BackwardAsync()
    {
        while (job.Current >= 0)
        {
            if (job.Current < steps.Count && job.Steps[job.Current].State != JobStepState.Pending)
            {
                var problem = await UndoAsync(steps[job.Current]).ConfigureAwait(false);
                runner.Change(job, job.Current, () => Retreat(problem));
            }
            else
            {
                runner.Change(job, null, () => job.Current--);
            }
        }
    }

    /// <summary>Journals the step as begun; false when the job turns back instead.</summary>
    private bool Begin(IJobStep step)
    {
        if (job.CancelRequested && !job.Committed)
        {
            Turn(CancelledProblem);
            return false;
        }
        job.State = JobState.Running;
        job.Steps[job.Current].State = JobStepState.Running;
        job.Committed |= step is ICommitStep;
        return true;
    }

    private int Advance(JobStepState state)
    {
        job.Steps[job.Current].State = state;
        return ++job.Current;
    }

    private int GiveUp(Problem problem)
    {
        job.Problem ??= problem;
        return Advance(JobStepState.Failed);
    }

    private int Turn(Problem problem)
    {
        job.Committed = false;
        job.Problem = job.CancelRequested ? CancelledProblem : problem;
        job.State = JobState.Undoing;
        return job.Current;
    }

    private int Retreat(Problem? problem)
    {
        job.Steps[job.Current].State = problem is null ? JobStepState.Undone : JobStepState.Failed;
        if (problem is not null && job.Problem is { } first)
        {
            var left = $"Could not be undone: {job.Steps[job.Current].Name}: {problem.Title}";
            job.Problem = first with { Remedy = first.Remedy is null ? left : first.Remedy + " " + left };
        }
        return --job.Current;
    }

    private async Task<Problem?> UndoAsync(IJobStep step)
    {
        for (var attempt = 1; ; attempt++)
        {
            using var limit = new CancellationTokenSource(UndoLimit, time);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, runner.Shutdown);
            var problem = await TryAsync(step, undo: true, both.Token).ConfigureAwait(false);
            if (problem is null || attempt == Attempts)
            {
                return problem;
            }
            await DelayAsync(BackOff(attempt)).ConfigureAwait(false);
        }
    }

    /// <summary>Runs or undoes a step; the problem when it failed.</summary>
    private async Task<Problem?> TryAsync(IJobStep step, bool undo, CancellationToken cancellationToken)
    {
        var told = new JobStepEvent(job.Id, job.Kind, step.Name, undo);
        try
        {
            foreach (var observer in observers)
            {
                await observer.StepStartingAsync(told, cancellationToken).ConfigureAwait(false);
            }
            await (undo ? step.UndoAsync(_context, cancellationToken) : step.RunAsync(_context, cancellationToken))
                .ConfigureAwait(false);
            foreach (var observer in observers)
            {
                await observer.StepActedAsync(told, cancellationToken).ConfigureAwait(false);
            }
            return null;
        }
        catch (OperationCanceledException) when (runner.Shutdown.IsCancellationRequested)
        {
            throw;
        }
        catch (OperationCanceledException) when (!undo && job.CancelRequested)
        {
            return CancelledProblem;
        }
        catch (Exception e)
        {
            var problem = Describe(step.Name, e);
            Tell(step.Name, undo, problem, e);
            return problem;
        }
    }

    private async Task<bool> IsCommittedAsync(ICommitStep step)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await step.IsCommittedAsync(_context, runner.Shutdown).ConfigureAwait(false);
            }
            catch (Exception e) when (!runner.Shutdown.IsCancellationRequested)
            {
                if (attempt == 1)
                {
                    runner.Note(job, "it is not known yet whether the switchover happened; asking until it is");
                }
                Tell(step.Name, false, Describe(step.Name, e), e);
                await DelayAsync(BackOff(attempt)).ConfigureAwait(false);
            }
        }
    }

    private CancellationToken Token() => job.Committed ? runner.Shutdown : _stop.Token;

    private Task DelayAsync(TimeSpan delay) => Task.Delay(delay, time, runner.Shutdown);

    private static TimeSpan BackOff(int attempt) => TimeSpan.FromMilliseconds(Math.Min(8000, 250 << Math.Min(attempt, 5)));

    private void Tell(string step, bool undo, Problem problem, Exception e)
    {
        foreach (var observer in observers)
        {
            observer.StepFailed(new JobStepEvent(job.Id, job.Kind, step, undo), problem, e);
        }
    }

    private static Problem Describe(string step, Exception e) => e switch
    {
        GodwitException known => known.Problem,
        OperationCanceledException => new Problem(ErrorCode.Unavailable, $"'{step}' took too long."),
        _ => new Problem(ErrorCode.Internal, $"'{step}' failed: {e.Message}", "The log of godwitd has the details."),
    };
}
