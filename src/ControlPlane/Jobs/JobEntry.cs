using System.Globalization;
using Godwit.Api;
using Godwit.Api.Jobs;

namespace Godwit.ControlPlane.Jobs;

/// <summary>A job in memory, always the same as its journal except for progress. Only the runner changes it.</summary>
internal sealed class JobEntry
{
    public required Guid Id { get; init; }

    public required string Kind { get; init; }

    public required Guid Vm { get; init; }

    public required string Target { get; init; }

    public required string Order { get; init; }

    public required DateTimeOffset Created { get; init; }

    public required List<JobStepEntry> Steps { get; init; }

    public JobState State { get; set; }

    /// <summary>The step to run next, or to undo next.</summary>
    public int Current { get; set; }

    /// <summary>The commit step has begun: no cancel any more unless it turns out not to have committed.</summary>
    public bool Committed { get; set; }

    public bool CancelRequested { get; set; }

    public Problem? Problem { get; set; }

    public JobProgress? Progress { get; set; }

    public DateTimeOffset? Ended { get; set; }

    public List<string> Notes { get; init; } = [];

    public Dictionary<string, string> Facts { get; init; } = [];

    /// <summary>Completed and replaced at every change: what watchers wait for.</summary>
    public TaskCompletionSource Changed { get; set; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Cancelled when the user cancels.</summary>
    public CancellationTokenSource Cancel { get; } = new();

    public bool HasEnded => State is JobState.Succeeded or JobState.Failed or JobState.Cancelled;

    public Job ToJob()
    {
        var at = Math.Clamp(Current, 0, Math.Max(0, Steps.Count - 1));
        return new Job(
            Id, Kind, Target, State, Steps.Count == 0 ? "" : Steps[at].Phase, Progress,
            State is JobState.Queued or JobState.Running && !Committed && !CancelRequested,
            Problem, Created, Ended,
            [.. Steps.Select(step => new JobStepStatus(step.Name, step.Phase, Word(step.State)))],
            [.. Notes]);
    }

    private static string Word(JobStepState state) => state.ToString().ToLower(CultureInfo.InvariantCulture);
}

/// <summary>One step of a job in memory.</summary>
internal sealed class JobStepEntry(string name, string phase, JobStepState state)
{
    public string Name { get; } = name;

    public string Phase { get; } = phase;

    public JobStepState State { get; set; } = state;
}
