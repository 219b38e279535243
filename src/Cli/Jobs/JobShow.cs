using Godwit.Api.Jobs;
using Godwit.Cli.Text;

namespace Godwit.Cli.Jobs;

/// <summary>godwit job show</summary>
internal static class JobShow
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var id = JobCommands.IdArgument();
        var verb = new Verb("show", "Shows a job, its steps and what happened on the way", "godwit job show 3f2a9c01") { id };
        verb.AddJson("Write the job as JSON");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var job = await session.Client.GetJobAsync(
                await JobIds.ResolveAsync(session.Client, session.Get(id), cancellationToken), cancellationToken);
            if (!session.TryWriteJson(job, JsonText.Api.Job))
                Write(session, job);
            return ExitCode.Ok;
        });
        return verb;
    }

    private static void Write(Session session, Job job)
    {
        var writer = session.Shell.Out;
        var progress = JobIds.ProgressOf(job);
        var fields = new FieldList(session.Paint);
        fields.Add("Id", job.Id.ToString());
        fields.Add("Kind", job.Kind);
        fields.Add("VM", job.Target);
        fields.Add("State", job.State.ToString());
        fields.Add("Phase", job.Phase);
        fields.Add(
            "Progress", string.Join(", ", new[] { progress.PercentText, progress.Figures(", ") }.Where(part => part.Length > 0)));
        fields.Add("Can cancel", job.HasEnded ? null : job.CanCancel ? "yes" : "no, the commit point is passed");
        fields.Add("Created", Clock.Format(job.Created));
        if (job.Ended is DateTimeOffset ended)
            fields.Add("Ended", $"{Clock.Format(ended)} (took {Clock.Format(ended - job.Created)})");
        fields.Add("Problem", job.Problem?.Title);
        fields.Add("Remedy", job.Problem?.Remedy);
        fields.Write(writer);
        if (job.Steps.Count > 0)
        {
            writer.WriteLine();
            var table = new Table(session.Paint, "PHASE", "STEP", "STATE");
            foreach (var step in job.Steps)
                table.Add(step.Phase, step.Name, step.State);
            table.Write(writer);
        }

        if (job.Notes.Count > 0)
            writer.WriteLine();
        foreach (var note in job.Notes)
            writer.WriteLine($"note: {Printable.From(note)}");
    }
}
