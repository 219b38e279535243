using System.Text;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Jobs;
using Godwit.ControlPlane.Tests.Api;

namespace Godwit.ControlPlane.Tests.Cli;

/// <summary>A daemon with one job whose states the test decides; every watcher sees each of them.</summary>
internal sealed class FakeJob
{
    private readonly Lock _gate = new();
    private readonly List<Job> _states = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public FakeJob(params Job[] states) => _states.AddRange(states);

    /// <summary>What asking to cancel does; null refuses.</summary>
    public Func<Job>? OnCancel { get; init; }

    /// <summary>Set when someone asked to cancel.</summary>
    public bool CancelAsked { get; private set; }

    public void Become(Job job)
    {
        lock (_gate)
        {
            _states.Add(job);
            _changed.SetResult();
            _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    public FakeDaemon Serve() => new((request, stream, token) => request switch
    {
        { Method: "GET", Path: var path } when path.EndsWith("/events", StringComparison.Ordinal) => StreamAsync(stream, token),
        { Method: "GET", Path: "/v1/jobs" } => FakeDaemon.WriteAsync(stream, (IReadOnlyList<Job>)[Newest()], ApiJson.Default.IReadOnlyListJob),
        { Path: var path } when path.EndsWith("/cancel", StringComparison.Ordinal) => CancelAsync(stream),
        _ => FakeDaemon.WriteAsync(stream, request.Method == "POST" ? _states[0] : Newest(), ApiJson.Default.Job),
    });

    private Job Newest()
    {
        lock (_gate)
            return _states[^1];
    }

    private Task CancelAsync(Stream stream)
    {
        CancelAsked = true;
        if (OnCancel is null)
            return FakeDaemon.WriteAsync(stream, new Problem(ErrorCode.WrongState, "the commit point is passed"), ApiJson.Default.Problem, 409);
        Become(OnCancel());
        return FakeDaemon.WriteAsync(stream, Newest(), ApiJson.Default.Job);
    }

    private async Task StreamAsync(Stream stream, CancellationToken cancellationToken)
    {
        await FakeDaemon.BeginEventsAsync(stream);
        for (var next = 0; ; next++)
        {
            Task? wait = null;
            lock (_gate)
            {
                if (next == _states.Count)
                    wait = _changed.Task;
            }

            if (wait is not null)
                await wait.WaitAsync(cancellationToken);
            var json = JsonSerializer.Serialize(_states[next], ApiJson.Default.Job);
            await stream.WriteAsync(Encoding.UTF8.GetBytes($"event: job\ndata: {json}\n\n"), cancellationToken);
            if (_states[next].HasEnded)
                return;
        }
    }
}
