using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Benchmarks.Nbd;

namespace Godwit.Benchmarks.Mirror;

/// <summary>The worker as it is shipped, asked over its control socket.</summary>
internal sealed class GodwitMirror : IMirroredServer
{
    private const string Disk = "disk";
    private readonly string _folder;
    private readonly LineSocket _control;
    private Guid _job;
    private int _targets;

    private GodwitMirror(ServerProcess server, LineSocket control, string folder)
    {
        Server = server;
        _control = control;
        _folder = folder;
    }

    public string Name => "godwit";

    public ServerProcess Server { get; }

    /// <summary>Starts the worker.</summary>
    /// <param name="worker">The program.</param>
    /// <param name="run">Its folder, for sockets.</param>
    /// <param name="path">The disk; targets are made beside it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<GodwitMirror> StartAsync(string worker, string run, string path, CancellationToken cancellationToken)
    {
        var server = await Servers.GodwitAsync(worker, run, false, [new(Disk, "raw", path)], cancellationToken);
        try
        {
            var control = await LineSocket.ConnectAsync(Path.Combine(run, "control.sock"), cancellationToken);
            return new GodwitMirror(server, control, Path.GetDirectoryName(path)!);
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    public async Task<string> StartAsync(CancellationToken cancellationToken)
    {
        _job = Guid.NewGuid();
        var target = Path.Combine(_folder, $"target-{++_targets}.raw");
        await DoAsync(new StartMirror(Disk, _job, target, null), cancellationToken);
        return Directory.EnumerateFiles(_folder, $"{Path.GetFileName(target)}.*").Single();
    }

    public async Task<bool> IsInSyncAsync(CancellationToken cancellationToken) =>
        await StateAsync(cancellationToken) is MirrorState.InSync or MirrorState.Verified;

    /// <summary>Whether it may be switched over.</summary>
    public async Task<bool> IsVerifiedAsync(CancellationToken cancellationToken) => await StateAsync(cancellationToken) is MirrorState.Verified;

    public Task CancelAsync(CancellationToken cancellationToken) => DoAsync(new CancelMirror(Disk, _job), cancellationToken);

    /// <summary>Switches over, unless the mirror has fallen back since it was verified.</summary>
    public async Task<bool> TrySwitchAsync(CancellationToken cancellationToken)
    {
        var reply = await AskAsync(new SwitchMirror(Disk, _job), cancellationToken);
        return reply.Problem is not { } problem || (problem.Code == ErrorCode.WrongState
            ? false : throw new InvalidOperationException(problem.Title));
    }

    /// <summary>Deletes what was the disk before the switchover.</summary>
    public Task ForgetAsync(CancellationToken cancellationToken) => DoAsync(new ForgetMirror(Disk, _job, RetainSource: false), cancellationToken);

    public ValueTask DisposeAsync()
    {
        _control.Dispose();
        return Server.DisposeAsync();
    }

    private async Task<MirrorState?> StateAsync(CancellationToken cancellationToken)
    {
        var mirror = (await DoAsync(new GetStatus(), cancellationToken)).Disks.Single().Mirror;
        return mirror?.State == MirrorState.Failed
            ? throw new InvalidOperationException($"the mirror failed: {mirror.Problem?.Title}")
            : mirror?.State;
    }

    private async Task<WorkerStatus> DoAsync(WorkerRequest request, CancellationToken cancellationToken)
    {
        var reply = await AskAsync(request, cancellationToken);
        return reply.Status ?? throw new InvalidOperationException($"{request.GetType().Name}: {reply.Problem?.Title}");
    }

    private async Task<WorkerReply> AskAsync(WorkerRequest request, CancellationToken cancellationToken)
    {
        await _control.SendAsync(JsonSerializer.SerializeToUtf8Bytes(request, ApiJson.Default.WorkerRequest), cancellationToken);
        return JsonSerializer.Deserialize(await _control.ReceiveAsync(cancellationToken), ApiJson.Default.WorkerReply)!;
    }
}
