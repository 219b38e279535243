using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.Cli.Text;

namespace Godwit.Cli.Jobs;

/// <summary>What the first ^C does while a job is watched.</summary>
internal enum InterruptMeaning
{
    /// <summary>Stops watching.</summary>
    StopsWatching,

    /// <summary>Asks the job to cancel and goes on watching the undo; the second one stops watching.</summary>
    CancelsTheJob,
}

/// <summary>Shows a job until it has ended.</summary>
/// <param name="session">The command.</param>
/// <param name="meaning">What the first ^C does.</param>
internal sealed class JobFollower(Session session, InterruptMeaning meaning)
{
    private int _notesSaid;
    private Problem? _problemSaid;

    /// <summary>Watches until the job has ended.</summary>
    /// <param name="job">The job as known now.</param>
    /// <returns>The exit code for how it ended; 2 when watching was given up.</returns>
    public async Task<int> RunAsync(Job job)
    {
        var interrupts = session.Shell.Interrupts;
        var stopWatching = meaning == InterruptMeaning.StopsWatching ? interrupts.First : interrupts.Second;
        using var ended = new CancellationTokenSource();
        var cancelling = meaning == InterruptMeaning.CancelsTheJob
            ? CancelOnInterruptAsync(job.Id, ended.Token)
            : Task.CompletedTask;
        try
        {
            var options = JobWatchOptions.Default with
            {
                Interrupted = reason => session.Talk.Say($"{reason}; the job's state is kept, waiting for godwitd"),
            };
            Show(job);
            await foreach (var now in session.Client.WatchJobAsync(job.Id, options, stopWatching))
                Show(job = now);
        }
        catch (OperationCanceledException) when (stopWatching.IsCancellationRequested)
        {
            return LetGo(job);
        }
        finally
        {
            await ended.CancelAsync();
            await cancelling;
            session.Talk.EndProgress();
        }

        return Conclude(job);
    }

    /// <summary>Says how a job ended.</summary>
    public int Conclude(Job job)
    {
        session.TryWriteJson(job, JsonText.Api.Job);
        var took = job.Ended is DateTimeOffset end ? $" after {Clock.Format(end - job.Created)}" : "";
        switch (job.State)
        {
            case JobState.Succeeded:
                var copied = job.Progress is { BytesDone: > 0 } progress ? $", {ByteSize.Format(progress.BytesDone)} copied" : "";
                session.Talk.Say($"{job.Kind} of {job.Target} succeeded{took}{copied}");
                return ExitCode.Ok;
            case JobState.Cancelled:
                session.Talk.Say($"{job.Kind} of {job.Target} was cancelled{took}; what it had done is undone");
                return ExitCode.Cancelled;
            default:
                session.Talk.Fail(job.Problem ?? new Problem(ErrorCode.Internal, $"{job.Kind} of {job.Target} failed"));
                session.Talk.Say($"{job.Kind} of {job.Target} failed{took}; what it had done is undone");
                return ExitCode.Failed;
        }
    }

    private int LetGo(Job job)
    {
        session.Talk.EndProgress();
        var id = JobIds.Short(job.Id);
        session.Talk.Say($"the job goes on; watch it with: godwit job watch {id}, stop it with: godwit job cancel {id}");
        return ExitCode.Cancelled;
    }

    private void Show(Job job)
    {
        for (; _notesSaid < job.Notes.Count; _notesSaid++)
            session.Talk.Say(job.Notes[_notesSaid]);
        if (job.State == JobState.Undoing && job.Problem is { Code: not ErrorCode.Cancelled } why && why != _problemSaid)
        {
            _problemSaid = why;
            session.Talk.Say($"undoing because: {why.Title}");
        }

        if (!job.HasEnded)
            session.Talk.Show(JobIds.ProgressOf(job));
    }

    private async Task CancelOnInterruptAsync(Guid id, CancellationToken ended)
    {
        var interrupts = session.Shell.Interrupts;
        using var either = CancellationTokenSource.CreateLinkedTokenSource(interrupts.First, ended);
        await Task.Delay(Timeout.InfiniteTimeSpan, session.Shell.Time, either.Token)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (ended.IsCancellationRequested)
            return;

        session.Talk.Say($"cancelling; ^C again leaves the job alone (godwit job watch {JobIds.Short(id)})");
        using var wanted = CancellationTokenSource.CreateLinkedTokenSource(interrupts.Second, ended);
        try
        {
            await session.Client.CancelJobAsync(id, wanted.Token);
        }
        catch (OperationCanceledException)
        {
            // The job ended by itself, or the user let go of it.
        }
        catch (GodwitException e)
        {
            session.Talk.Say($"the job is not being cancelled: {e.Problem.Title}");
        }
    }
}
