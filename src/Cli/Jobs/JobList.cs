using Godwit.Api.Jobs;
using Godwit.Cli.Text;

namespace Godwit.Cli.Jobs;

/// <summary>godwit job list</summary>
internal static class JobList
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var verb = new Verb("list", "Lists the jobs the host remembers", "godwit job list");
        verb.AddJson("Write an array of jobs as JSON");
        verb.Does(shell, global, RunAsync);
        return verb;
    }

    /// <summary>The colour for a state, or null for none.</summary>
    public static Func<string, string>? Colour(JobState state, Paint paint) => state switch
    {
        JobState.Failed => paint.Red,
        JobState.Undoing or JobState.Cancelled => paint.Yellow,
        JobState.Running => paint.Green,
        _ => null,
    };

    private static async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var jobs = await session.Client.ListJobsAsync(cancellationToken);
        if (session.TryWriteJson(jobs, JsonText.Api.IReadOnlyListJob))
            return ExitCode.Ok;
        if (jobs.Count == 0)
        {
            session.Talk.Say("no jobs yet");
            return ExitCode.Ok;
        }

        var table = new Table(session.Paint, "ID", "KIND", "VM", "STATE", "PHASE", ">DONE", "CREATED");
        foreach (var job in jobs)
        {
            table.AddColoured(
                Colour(job.State, session.Paint), JobIds.Short(job.Id), job.Kind, job.Target, job.State.ToString(), job.Phase,
                JobIds.ProgressOf(job).PercentText, Clock.Format(job.Created));
        }

        table.Write(session.Shell.Out);
        return ExitCode.Ok;
    }
}
