using Godwit.Api.Hosts;
using Godwit.Api.Jobs;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.Checks;

/// <summary>Looks at the jobs that failed lately: what they left is told in their remedy.</summary>
/// <param name="jobs">The jobs.</param>
/// <param name="time">The clock.</param>
public sealed class JobCheck(JobRunner jobs, TimeProvider time) : IHostCheck
{
    private const string Id = "job";
    private static readonly TimeSpan Lately = TimeSpan.FromDays(1);

    /// <inheritdoc/>
    public Task<IReadOnlyList<CheckFinding>> LookAsync(CancellationToken cancellationToken)
    {
        var since = time.GetUtcNow() - Lately;
        IReadOnlyList<CheckFinding> failed =
        [
            .. jobs.List().Where(job => job.State == JobState.Failed && job.Ended > since).Select(job => new CheckFinding(
                Id, CheckSeverity.Warning, $"{job.Kind} of '{job.Target}' failed at {job.Ended:u}: {job.Problem?.Title}", job.Problem?.Remedy)),
        ];
        return Task.FromResult(failed.Count > 0 ? failed : [new CheckFinding(Id, CheckSeverity.Good, "No job has failed in the last 24 hours.")]);
    }
}
