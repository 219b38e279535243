using System.CommandLine;
using Godwit.Cli.Text;

namespace Godwit.Cli.Jobs;

/// <summary>The commands of the noun "job".</summary>
internal static class JobCommands
{
    /// <summary>Makes the noun with all its verbs.</summary>
    public static Command Create(Shell shell, GlobalOptions global) => new("job", "Long operations")
    {
        JobList.Create(shell, global),
        JobShow.Create(shell, global),
        CreateWatch(shell, global),
        CreateCancel(shell, global),
    };

    /// <summary>The argument that names a job.</summary>
    public static Argument<string> IdArgument() =>
        new("ID") { Description = "Id of the job, or its first four or more characters" };

    private static Verb CreateWatch(Shell shell, GlobalOptions global)
    {
        var id = IdArgument();
        var verb = new Verb(
            "watch", "Shows a job's progress until it has ended; ^C stops watching, not the job",
            "godwit job watch 3f2a9c01")
        {
            id,
        };
        verb.AddJson("Write the job as it ended as JSON");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var job = await session.Client.GetJobAsync(
                await JobIds.ResolveAsync(session.Client, session.Get(id), cancellationToken), cancellationToken);
            return await new JobFollower(session, InterruptMeaning.StopsWatching).RunAsync(job);
        });
        return verb;
    }

    private static Verb CreateCancel(Shell shell, GlobalOptions global)
    {
        var id = IdArgument();
        var noWait = new Option<bool>("--no-wait") { Description = "Return as soon as the job has been asked" };
        var verb = new Verb(
            "cancel", "Asks a job to stop and waits until what it did is undone",
            "godwit job cancel 3f2a9c01")
        {
            id, noWait,
        };
        verb.AddJson("Write the job as JSON");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var job = await session.Client.CancelJobAsync(
                await JobIds.ResolveAsync(session.Client, session.Get(id), cancellationToken), cancellationToken);
            if (!session.Get(noWait))
                return ExitAfterCancel(await new JobFollower(session, InterruptMeaning.StopsWatching).RunAsync(job));
            session.TryWriteJson(job, JsonText.Api.Job);
            session.Talk.Say($"asked; watch it with: godwit job watch {JobIds.Short(job.Id)}");
            return ExitCode.Ok;
        });
        return verb;
    }

    // Here "cancelled" is what was asked for. A job that got to its end all the same is not.
    private static int ExitAfterCancel(int code) => code switch
    {
        ExitCode.Cancelled => ExitCode.Ok,
        ExitCode.Ok => ExitCode.Failed,
        _ => code,
    };
}
