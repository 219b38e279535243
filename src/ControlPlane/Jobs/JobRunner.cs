using System.Runtime.CompilerServices;
using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.ControlPlane.Store;
using Godwit.ControlPlane.VirtualMachines;

namespace Godwit.ControlPlane.Jobs;

/// <summary>
/// Accepts jobs, runs them, and is the only code that moves their state. One job at a time per VM; per kind a limit,
/// beyond which jobs wait in the order they came.
/// </summary>
/// <remarks>Thread-safe. After a restart of the daemon <see cref="Resume"/> goes on where the journal ends.</remarks>
public sealed class JobRunner : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly JobStore _store;
    private readonly TimeProvider _time;
    private readonly Dictionary<string, IJobKind> _kinds;
    private readonly IReadOnlyList<IJobObserver> _observers;
    private readonly List<JobEntry> _active = [];
    private readonly Dictionary<Guid, Task> _running = [];
    private readonly CancellationTokenSource _shutdown = new();

    /// <summary>Makes a runner that does nothing until jobs are submitted or resumed.</summary>
    /// <param name="database">The host's store.</param>
    /// <param name="kinds">Every kind of job, also those only found in the journal.</param>
    /// <param name="time">The clock.</param>
    /// <param name="observers">Told of every step.</param>
    public JobRunner(Database database, IEnumerable<IJobKind> kinds, TimeProvider time, IEnumerable<IJobObserver> observers)
    {
        _store = new JobStore(database);
        _kinds = kinds.ToDictionary(kind => kind.Name, StringComparer.Ordinal);
        _time = time;
        _observers = [.. observers];
    }

    internal CancellationToken Shutdown => _shutdown.Token;

    /// <summary>Takes up the jobs a former daemon left. Call once, when the world has been looked at.</summary>
    public void Resume()
    {
        lock (_gate)
        {
            _active.AddRange(_store.ListActive());
            foreach (var job in _active.Where(job => job.State is JobState.Running or JobState.Undoing))
            {
                var step = job.Steps[Math.Clamp(job.Current, 0, job.Steps.Count - 1)].Name;
                Note(job, job.State == JobState.Running
                    ? $"godwitd restarted; resumed at '{step}'"
                    : $"godwitd restarted; goes on undoing at '{step}'");
                Start(job);
            }
            Schedule();
        }
    }

    /// <summary>Accepts a job: its plan is journalled before anything is done.</summary>
    /// <param name="kind">Name of its kind.</param>
    /// <param name="vm">The VM it works on.</param>
    /// <param name="target">The VM's name.</param>
    /// <param name="order">What is asked for, as the kind wants it.</param>
    public Job Submit(string kind, Guid vm, string target, string order)
    {
        var job = new JobEntry
        {
            Id = Guid.NewGuid(),
            Kind = kind,
            Vm = vm,
            Target = target,
            Order = order,
            Created = _time.GetUtcNow(),
            Steps = [.. _kinds[kind].Plan(order).Select(step => new JobStepEntry(step.Name, step.Phase, JobStepState.Pending))],
        };
        lock (_gate)
        {
            _store.Add(job);
            _active.Add(job);
            Schedule();
            return job.ToJob();
        }
    }

    /// <summary>The job's id when one works on the VM or waits to.</summary>
    /// <param name="vm">The VM.</param>
    public Guid? ActiveJob(Guid vm)
    {
        lock (_gate)
        {
            // A job that has ended may still be in the list for a moment; who has seen its end may ask for the next one.
            return _active.Find(job => job.Vm == vm && !job.HasEnded)?.Id;
        }
    }

    /// <summary>Whether a job of that kind works on the VM.</summary>
    /// <param name="vm">The VM.</param>
    /// <param name="kind">Name of the kind.</param>
    public bool IsActive(Guid vm, string kind)
    {
        lock (_gate)
        {
            return _active.Exists(job => job.Vm == vm && job.Kind == kind && job.State == JobState.Running && !job.HasEnded);
        }
    }

    /// <summary>Throws when a job works on the VM or waits to.</summary>
    /// <param name="vm">The VM.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Busy"/>.</exception>
    internal void RefuseWhenBusy(VirtualMachineRecord vm)
    {
        if (ActiveJob(vm.Id) is { } job)
        {
            throw new GodwitException(
                ErrorCode.Busy, $"Job {job} works on VM '{vm.Name}'.", $"Wait for it or cancel it: 'godwit job cancel {job}'.");
        }
    }

    /// <summary>How many jobs have not ended.</summary>
    public int ActiveCount
    {
        get
        {
            lock (_gate)
            {
                return _active.Count(job => !job.HasEnded);
            }
        }
    }

    /// <summary>All jobs that are remembered, oldest first.</summary>
    public IReadOnlyList<Job> List()
    {
        lock (_gate)
        {
            return [.. _store.List().Select(stored => (_active.Find(job => job.Id == stored.Id) ?? stored).ToJob())];
        }
    }

    /// <summary>The job as it stands.</summary>
    /// <param name="id">Its id.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>.</exception>
    public Job Get(Guid id)
    {
        lock (_gate)
        {
            return Find(id).ToJob();
        }
    }

    /// <summary>The job now and after each change, until it has ended. Changes in quick succession may come as one.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="cancellationToken">Ends the watching.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>.</exception>
    public async IAsyncEnumerable<Job> WatchAsync(Guid id, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            Job job;
            Task changed;
            lock (_gate)
            {
                var entry = Find(id);
                job = entry.ToJob();
                changed = entry.Changed.Task;
            }
            yield return job;
            if (job.HasEnded)
            {
                yield break;
            }
            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Asks for the job to be undone. Returns at once; watch the job to see it end.</summary>
    /// <param name="id">Its id.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/> when it has ended or is past its commit point.</exception>
    public Job Cancel(Guid id)
    {
        JobEntry job;
        lock (_gate)
        {
            job = Find(id);
            if (job.HasEnded)
            {
                throw new GodwitException(ErrorCode.WrongState, $"Job {id} has already ended ({job.State}).");
            }
            if (job.State == JobState.Undoing || job.CancelRequested)
            {
                return job.ToJob();
            }
            if (job.Committed)
            {
                throw new GodwitException(
                    ErrorCode.WrongState, $"Job {id} is past its commit point and can only go on.", "Wait for it to end.");
            }
            job.CancelRequested = true;
            if (job.State == JobState.Queued)
            {
                job.Problem = JobExecution.CancelledProblem;
                End(job, JobState.Cancelled);
                _active.Remove(job);
                return job.ToJob();
            }
            Changed(job, null);
        }
        // Outside the lock: callbacks of the token run here.
        job.Cancel.Cancel();
        return Get(id);
    }

    /// <summary>Stops working without ending any job: they stay in the journal as they are.</summary>
    public async ValueTask DisposeAsync()
    {
        Task[] running;
        lock (_gate)
        {
            _shutdown.Cancel();
            running = [.. _running.Values];
        }
        await Task.WhenAll(running).ConfigureAwait(false);
    }

    internal string? GetFact(JobEntry job, string name)
    {
        lock (_gate)
        {
            return job.Facts.GetValueOrDefault(name);
        }
    }

    internal void SetFact(JobEntry job, string name, string value)
    {
        lock (_gate)
        {
            _store.SetFact(job.Id, name, value);
            job.Facts[name] = value;
        }
    }

    internal void Note(JobEntry job, string text)
    {
        lock (_gate)
        {
            _store.AddNote(job, job.Notes.Count, text);
            job.Notes.Add(text);
            Signal(job);
        }
    }

    /// <summary>Progress is kept in memory and reaches the journal with the next change: losing it costs nothing.</summary>
    internal void SetProgress(JobEntry job, JobProgress progress)
    {
        lock (_gate)
        {
            job.Progress = progress;
            Signal(job);
        }
    }

    /// <summary>Changes a job and journals it before anyone can act on the change.</summary>
    internal T Change<T>(JobEntry job, int? step, Func<T> change)
    {
        lock (_gate)
        {
            var result = change();
            Changed(job, step);
            return result;
        }
    }

    internal void End(JobEntry job, JobState state)
    {
        lock (_gate)
        {
            job.State = state;
            job.Ended = _time.GetUtcNow();
            if (state == JobState.Succeeded && job.Progress is { } progress)
            {
                job.Progress = progress with { SecondsLeft = 0, Percent = 100 };
            }
            Changed(job, null);
        }
        foreach (var observer in _observers)
        {
            observer.JobEnded(job.ToJob());
        }
    }

    private void Changed(JobEntry job, int? step)
    {
        _store.Save(job, step);
        Signal(job);
    }

    private static void Signal(JobEntry job)
    {
        var old = job.Changed;
        job.Changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        old.SetResult();
    }

    private JobEntry Find(Guid id) => _active.Find(job => job.Id == id) ?? _store.Find(id)
        ?? throw new GodwitException(ErrorCode.NotFound, $"There is no job {id}.", "List the jobs with 'godwit job list'.");

    private void Schedule()
    {
        foreach (var job in _active.Where(job => job.State == JobState.Queued).ToList())
        {
            var limit = _kinds[job.Kind].Limit;
            var busy = _active.Any(other => other.Vm == job.Vm && _running.ContainsKey(other.Id));
            if (!busy && _active.Count(other => other.Kind == job.Kind && _running.ContainsKey(other.Id)) < limit)
            {
                Start(job);
            }
        }
    }

    private void Start(JobEntry job)
    {
        var steps = _kinds[job.Kind].Plan(job.Order);
        var execution = new JobExecution(this, job, steps, _time, _observers);
        _running[job.Id] = Task.Run(async () =>
        {
            await execution.RunAsync().ConfigureAwait(false);
            lock (_gate)
            {
                _running.Remove(job.Id);
                if (!_shutdown.IsCancellationRequested)
                {
                    _active.Remove(job);
                    Schedule();
                }
            }
        });
    }
}
