using Godwit.Api;
using Godwit.Api.Jobs;

namespace Godwit.Cli.Jobs;

/// <summary>Job ids as people type them: whole, or the first characters as long as only one job begins so.</summary>
internal static class JobIds
{
    private const int ShortLength = 8;

    /// <summary>The first eight characters, as lists show them.</summary>
    public static string Short(Guid id) => id.ToString()[..ShortLength];

    /// <summary>Finds the job that is meant.</summary>
    public static async Task<Guid> ResolveAsync(GodwitClient client, string text, CancellationToken cancellationToken)
    {
        if (Guid.TryParse(text, out var id))
            return id;
        if (text.Length < 4 || !text.All(character => char.IsAsciiHexDigit(character) || character == '-'))
            throw new UsageException($"\"{text}\" is not a job id: give it whole or its first four or more characters");

        var jobs = await client.ListJobsAsync(cancellationToken);
        var matches = jobs.Where(job => job.Id.ToString().StartsWith(text, StringComparison.OrdinalIgnoreCase)).ToList();
        return matches.Count switch
        {
            1 => matches[0].Id,
            0 => throw new GodwitException(
                ErrorCode.NotFound, $"there is no job {text}", "godwit job list shows the jobs there are"),
            _ => throw new GodwitException(
                ErrorCode.InvalidRequest, $"{matches.Count} jobs begin with {text}", "give more of the id"),
        };
    }

    /// <summary>What progress shows for a job.</summary>
    public static Progress.ProgressState ProgressOf(Job job)
    {
        var phase = job.State switch
        {
            JobState.Queued => "Queued",
            JobState.Undoing => "Undoing",
            _ => job.Phase,
        };
        return job.Progress is JobProgress progress && job.State != JobState.Undoing
            ? new(phase, progress.Percent, progress.BytesDone, progress.BytesTotal, progress.BytesPerSecond, progress.SecondsLeft)
            : new(phase);
    }
}
