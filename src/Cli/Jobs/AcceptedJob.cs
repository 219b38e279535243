using System.CommandLine;
using Godwit.Api.Jobs;
using Godwit.Cli.Text;

namespace Godwit.Cli.Jobs;

/// <summary>What a command does with the job it has started: follows it, or with --no-wait says its id.</summary>
internal static class AcceptedJob
{
    /// <summary>The option, the same for every command that starts a job.</summary>
    public static Option<bool> NoWaitOption() => new("--no-wait") { Description = "Write the job's id and return at once" };

    /// <summary>The text of --json for such a command.</summary>
    public const string JsonHelp = "Write the job as it ended as JSON (with --no-wait: as accepted)";

    /// <summary>Follows the job to its end, or not.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(Session session, Job job, Option<bool> noWait)
    {
        if (!session.Get(noWait))
            return await new JobFollower(session, InterruptMeaning.CancelsTheJob).RunAsync(job);
        if (!session.TryWriteJson(job, JsonText.Api.Job))
            session.Shell.Out.WriteLine(job.Id);
        session.Talk.Say($"the job goes on by itself; watch it with: godwit job watch {JobIds.Short(job.Id)}");
        return ExitCode.Ok;
    }
}
