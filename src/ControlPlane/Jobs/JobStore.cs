using System.Text.Json;
using Godwit.Api.Jobs;
using Godwit.ControlPlane.Store;
using Microsoft.Data.Sqlite;

namespace Godwit.ControlPlane.Jobs;

/// <summary>The job journal.</summary>
internal sealed class JobStore(Database database)
{
    /// <summary>Ended jobs that are kept; older ones are dropped when a job is added.</summary>
    private const int Kept = 1000;

    private const string Columns =
        "id, kind, vm, target, order_json, state, current, committed, cancel, problem, progress, created, ended";

    public void Add(JobEntry job) => database.Transact(() =>
    {
        database.Execute(
            $"INSERT INTO jobs ({Columns}) VALUES ($id, $kind, $vm, $target, $order, $state, $current, $committed,"
            + " $cancel, $problem, $progress, $created, $ended)",
            [
                ("$kind", job.Kind), ("$vm", job.Vm.ToString("D")), ("$target", job.Target), ("$order", job.Order),
                ("$created", job.Created.ToUnixTimeMilliseconds()), .. Changing(job),
            ]);
        for (var i = 0; i < job.Steps.Count; i++)
        {
            database.Execute(
                "INSERT INTO job_steps (job, ordinal, name, phase, state) VALUES ($id, $ordinal, $name, $phase, $state)",
                ("$id", Key(job.Id)), ("$ordinal", i), ("$name", job.Steps[i].Name), ("$phase", job.Steps[i].Phase),
                ("$state", (int)job.Steps[i].State));
        }
        database.Execute(
            "DELETE FROM jobs WHERE ended IS NOT NULL AND number <= (SELECT MAX(number) FROM jobs) - $kept", ("$kept", Kept));
    });

    /// <summary>Writes what changes in the life of a job; the step at <paramref name="step"/> with it.</summary>
    public void Save(JobEntry job, int? step = null) => database.Transact(() =>
    {
        database.Execute(
            "UPDATE jobs SET state = $state, current = $current, committed = $committed, cancel = $cancel,"
            + " problem = $problem, progress = $progress, ended = $ended WHERE id = $id",
            Changing(job));
        if (step is { } i)
        {
            database.Execute(
                "UPDATE job_steps SET state = $state WHERE job = $id AND ordinal = $ordinal",
                ("$id", Key(job.Id)), ("$ordinal", i), ("$state", (int)job.Steps[i].State));
        }
    });

    public void AddNote(JobEntry job, int ordinal, string text) => database.Execute(
        "INSERT OR REPLACE INTO job_notes (job, ordinal, text) VALUES ($id, $ordinal, $text)",
        ("$id", Key(job.Id)), ("$ordinal", ordinal), ("$text", text));

    public void SetFact(Guid job, string name, string value) => database.Execute(
        "INSERT OR REPLACE INTO job_facts (job, name, value) VALUES ($id, $name, $value)",
        ("$id", Key(job)), ("$name", name), ("$value", value));

    public JobEntry? Find(Guid id)
    {
        var rows = Load("WHERE id = $id", ("$id", Key(id)));
        return rows.Count == 0 ? null : rows[0];
    }

    /// <summary>All jobs, oldest first.</summary>
    public List<JobEntry> List() => Load("");

    /// <summary>Jobs that have not ended, oldest first.</summary>
    public List<JobEntry> ListActive() => Load("WHERE ended IS NULL");

    private List<JobEntry> Load(string where, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        var jobs = database.Query($"SELECT {Columns} FROM jobs {where} ORDER BY number", Map, parameters);
        foreach (var job in jobs)
        {
            (string, object?) id = ("$id", Key(job.Id));
            job.Steps.AddRange(database.Query(
                "SELECT name, phase, state FROM job_steps WHERE job = $id ORDER BY ordinal",
                row => new JobStepEntry(row.GetString(0), row.GetString(1), (JobStepState)row.GetInt32(2)), id));
            job.Notes.AddRange(database.Query(
                "SELECT text FROM job_notes WHERE job = $id ORDER BY ordinal", row => row.GetString(0), id));
            foreach (var (name, value) in database.Query(
                "SELECT name, value FROM job_facts WHERE job = $id", row => (row.GetString(0), row.GetString(1)), id))
            {
                job.Facts[name] = value;
            }
        }
        return jobs;
    }

    private static JobEntry Map(SqliteDataReader row) => new()
    {
        Id = Guid.Parse(row.GetString(0)),
        Kind = row.GetString(1),
        Vm = Guid.Parse(row.GetString(2)),
        Target = row.GetString(3),
        Order = row.GetString(4),
        State = (JobState)row.GetInt32(5),
        Current = row.GetInt32(6),
        Committed = row.GetInt32(7) != 0,
        CancelRequested = row.GetInt32(8) != 0,
        Problem = row.IsDBNull(9) ? null : JsonSerializer.Deserialize(row.GetString(9), StoreJson.Default.Problem),
        Progress = row.IsDBNull(10) ? null : JsonSerializer.Deserialize(row.GetString(10), StoreJson.Default.JobProgress),
        Created = DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(11)),
        Ended = row.IsDBNull(12) ? null : DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(12)),
        Steps = [],
    };

    private static (string Name, object? Value)[] Changing(JobEntry job) =>
    [
        ("$id", Key(job.Id)), ("$state", (int)job.State), ("$current", job.Current),
        ("$committed", job.Committed ? 1 : 0), ("$cancel", job.CancelRequested ? 1 : 0),
        ("$problem", job.Problem is null ? null : JsonSerializer.Serialize(job.Problem, StoreJson.Default.Problem)),
        ("$progress", job.Progress is null ? null : JsonSerializer.Serialize(job.Progress, StoreJson.Default.JobProgress)),
        ("$ended", job.Ended?.ToUnixTimeMilliseconds()),
    ];

    private static string Key(Guid id) => id.ToString("D");
}
