using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.Store;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>Queue, limits, cancel and undo, apart from any particular job.</summary>
public sealed class JobRunnerTests : IAsyncDisposable
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private readonly Database _database = Database.Open(":memory:");
    private readonly FakeTimeProvider _time = new();
    private readonly GateKind _kind = new();
    private readonly JobRunner _jobs;

    public JobRunnerTests() => _jobs = new JobRunner(_database, [_kind], _time, []);

    public async ValueTask DisposeAsync()
    {
        await _jobs.DisposeAsync();
        _database.Dispose();
    }

    [Fact(Timeout = 20_000)]
    public async Task Jobs_over_the_limit_wait_in_the_order_they_came()
    {
        var jobs = Enumerable.Range(0, 5).Select(i => _jobs.Submit("gate", Guid.NewGuid(), "vm" + i, "")).ToList();
        await UntilAsync(() => _kind.Started.Count == 2);
        Assert.Equal(jobs.Take(2).Select(job => job.Id).Order(), _kind.Started.Order());
        Assert.All(jobs.Skip(2), job => Assert.Equal(JobState.Queued, _jobs.Get(job.Id).State));
        for (var i = 0; i < 5; i++)
        {
            _kind.Open(jobs[i].Id);
            await UntilAsync(() => _jobs.Get(jobs[i].Id).HasEnded && _kind.Started.Count == Math.Min(5, i + 3));
            Assert.Equal(jobs.Take(Math.Min(5, i + 3)).Select(job => job.Id).Order(), _kind.Started.Order());
        }
    }

    [Fact(Timeout = 20_000)]
    public async Task Jobs_of_one_VM_run_one_at_a_time_and_do_not_hold_up_others()
    {
        var vm = Guid.NewGuid();
        var first = _jobs.Submit("gate", vm, "vm", "");
        var second = _jobs.Submit("gate", vm, "vm", "");
        var other = _jobs.Submit("gate", Guid.NewGuid(), "other", "");
        await UntilAsync(() => _kind.Started.Count == 2);
        Assert.Equal(new[] { first.Id, other.Id }.Order(), _kind.Started.Order());
        _kind.Open(first.Id);
        await UntilAsync(() => _kind.Started.Contains(second.Id));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_queued_job_is_cancelled_at_once_and_does_nothing()
    {
        _jobs.Submit("gate", Guid.NewGuid(), "a", "");
        _jobs.Submit("gate", Guid.NewGuid(), "b", "");
        var waiting = _jobs.Submit("gate", Guid.NewGuid(), "c", "");
        var cancelled = _jobs.Cancel(waiting.Id);
        Assert.Equal(JobState.Cancelled, cancelled.State);
        Assert.Equal(ErrorCode.Cancelled, cancelled.Problem!.Code);
        var e = Assert.Throws<GodwitException>(() => _jobs.Cancel(waiting.Id));
        Assert.Equal(ErrorCode.WrongState, e.Problem.Code);
        await UntilAsync(() => _kind.Started.Count == 2);
        Assert.DoesNotContain(waiting.Id, _kind.Started);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_running_step_is_interrupted_by_cancel_and_undone()
    {
        var job = _jobs.Submit("gate", Guid.NewGuid(), "a", "");
        await UntilAsync(() => _kind.Started.Count == 1);
        var asked = _jobs.Cancel(job.Id);
        Assert.False(asked.CanCancel);
        await UntilAsync(() => _jobs.Get(job.Id).HasEnded);
        Assert.Equal(JobState.Cancelled, _jobs.Get(job.Id).State);
        Assert.Equal([job.Id], _kind.Undone);
    }

    [Fact(Timeout = 20_000)]
    public async Task What_cannot_be_undone_is_tried_again_and_then_told()
    {
        _kind.UndoFails = int.MaxValue;
        var job = _jobs.Submit("gate", Guid.NewGuid(), "a", "");
        await UntilAsync(() => _kind.Started.Count == 1);
        _jobs.Cancel(job.Id);
        await UntilAsync(() => _jobs.Get(job.Id).HasEnded);
        var ended = _jobs.Get(job.Id);
        Assert.Equal(5, _kind.Undone.Count);
        Assert.Equal("failed", ended.Steps[0].State);
        Assert.Contains("Could not be undone: wait: stuck", ended.Problem!.Remedy, StringComparison.Ordinal);
    }

    [Fact(Timeout = 20_000)]
    public async Task Ended_jobs_are_remembered_by_the_store_alone()
    {
        var job = _jobs.Submit("gate", Guid.NewGuid(), "a", "");
        _kind.Open(job.Id);
        await UntilAsync(() => _jobs.Get(job.Id).HasEnded && _jobs.ActiveCount == 0);
        await using var next = new JobRunner(_database, [_kind], _time, []);
        next.Resume();
        Assert.Equal(JobState.Succeeded, next.Get(job.Id).State);
        Assert.Equivalent(_jobs.Get(job.Id), next.Get(job.Id), strict: true);
        Assert.Single(next.List());
        Assert.Equal(0, next.ActiveCount);
    }

    [Fact(Timeout = 20_000)]
    public async Task Watching_shows_every_end_and_an_unknown_job_is_not_found()
    {
        var job = _jobs.Submit("gate", Guid.NewGuid(), "a", "");
        var watch = LastAsync(job.Id);
        await UntilAsync(() => _kind.Started.Count == 1);
        _kind.Open(job.Id);
        Assert.Equal(JobState.Succeeded, (await watch).State);
        Assert.Equal(JobState.Succeeded, (await LastAsync(job.Id)).State);
        var e = await Assert.ThrowsAsync<GodwitException>(() => LastAsync(Guid.NewGuid()));
        Assert.Equal(ErrorCode.NotFound, e.Problem.Code);
    }

    private async Task<Job> LastAsync(Guid id)
    {
        Job? last = null;
        await foreach (var job in _jobs.WatchAsync(id, Token))
            last = job;
        return last!;
    }

    private async Task UntilAsync(Func<bool> condition)
    {
        for (var i = 0; !condition(); i++)
        {
            Assert.True(i < 5000, "the condition never came true");
            _time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Delay(1, Token);
        }
    }

    /// <summary>Jobs of one step that waits until it is let go.</summary>
    private sealed class GateKind : IJobKind, IJobStep
    {
        private readonly Lock _gate = new();
        private readonly Dictionary<Guid, TaskCompletionSource> _gates = [];

        public string Name => "gate";

        string IJobStep.Name => "wait";

        public string Phase => "Copy";

        public int Limit => 2;

        public List<Guid> Started { get; } = [];

        public List<Guid> Undone { get; } = [];

        public int UndoFails { get; set; }

        public IReadOnlyList<IJobStep> Plan(string order) => [this];

        public void Open(Guid job) => Gate(job).TrySetResult();

        public Task RunAsync(JobContext context, CancellationToken cancellationToken)
        {
            lock (_gate)
                Started.Add(context.JobId);
            return Gate(context.JobId).Task.WaitAsync(cancellationToken);
        }

        public Task UndoAsync(JobContext context, CancellationToken cancellationToken)
        {
            Undone.Add(context.JobId);
            return UndoFails-- > 0 ? throw new GodwitException(ErrorCode.IoFailed, "stuck") : Task.CompletedTask;
        }

        private TaskCompletionSource Gate(Guid job)
        {
            lock (_gate)
            {
                if (!_gates.TryGetValue(job, out var gate))
                    _gates[job] = gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                return gate;
            }
        }
    }
}
