using System.CommandLine;
using System.Globalization;
using Godwit.Api.Access;
using Godwit.Cli.Access;
using Godwit.Cli.Text;

namespace Godwit.Cli.Hosts;

/// <summary>godwit host audit</summary>
internal static class HostAudit
{
    private const int Page = 1000;

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var last = new Option<int>("--last")
        {
            Description = "How many entries; 50 when not given",
            HelpName = "COUNT",
            DefaultValueFactory = _ => 50,
        };
        var verb = new Verb(
            "audit", "Shows who asked to change what, and what came of it, the newest last", "godwit host audit --last 20")
        {
            last,
        };
        verb.AddJson("Write an array of entries as JSON, the newest first");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var entries = await ReadAsync(session, session.Get(last), cancellationToken);
            if (!session.TryWriteJson(entries, JsonText.Api.IReadOnlyListAuditEntry))
                Write(session, entries);
            return ExitCode.Ok;
        });
        return verb;
    }

    private static async Task<IReadOnlyList<AuditEntry>> ReadAsync(Session session, int count, CancellationToken cancellationToken)
    {
        if (count < 1)
            throw new UsageException("--last: at least 1");
        var entries = new List<AuditEntry>();
        long? after = null;
        while (entries.Count < count)
        {
            var page = await session.Client.ReadAuditAsync(Math.Min(Page, count - entries.Count), after, cancellationToken);
            entries.AddRange(page.Entries);
            if (page.Next is null)
                break;
            after = page.Next;
        }

        return entries;
    }

    private static void Write(Session session, IReadOnlyList<AuditEntry> entries)
    {
        var table = new Table(session.Paint, "TIME", "CALLER", "ROLE", "FROM", "REQUEST", "RESULT");
        foreach (var entry in entries.Reverse())
        {
            table.AddColoured(
                entry.Status is >= 200 and < 300 ? null : session.Paint.Yellow, Clock.Format(entry.Time),
                entry.Caller.Length == 0 ? "unknown" : entry.Caller, entry.Role is { } role ? RoleText.Of(role) : "-",
                entry.Address ?? "this computer", $"{entry.Method} {entry.Target}", Result(entry));
        }

        table.Write(session.Shell.Out);
    }

    private static string Result(AuditEntry entry) => entry switch
    {
        { Status: null } => "none yet, or godwitd ended",
        { Code: { } code } => $"{Number(entry.Status.Value)} {code}",
        _ => Number(entry.Status.Value),
    };

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
