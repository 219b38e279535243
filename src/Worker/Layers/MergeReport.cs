using Godwit.Api;
using Godwit.Api.Workers;

namespace Godwit.Worker.Layers;

/// <summary>Puts together what a host is told about a merge.</summary>
internal static class MergeReport
{
    /// <summary>The status of a recorded merge.</summary>
    /// <param name="merge">The record, or null when there is none.</param>
    /// <param name="progress">Bytes done and all there are, if this process has run it.</param>
    /// <param name="problem">What it waits out.</param>
    internal static MergeStatus? Of(WorkerMergeConfig? merge, (long Done, long Total) progress = default, Problem? problem = null) => merge is null ? null : new(
        merge.JobId,
        merge.Failure is null ? merge.State : MergeState.Failed,
        merge.Path,
        merge.Target,
        progress.Done,
        progress.Total,
        merge.Failure ?? (merge.State == MergeState.Merged ? null : problem));
}
