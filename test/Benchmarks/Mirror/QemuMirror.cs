using System.Text.Json;
using System.Text.Json.Nodes;
using Godwit.Benchmarks.Nbd;

namespace Godwit.Benchmarks.Mirror;

/// <summary>qemu-storage-daemon, asked over QMP: blockdev-mirror in write-blocking mode, in which a write is done when both sides have it.</summary>
internal sealed class QemuMirror : IMirroredServer
{
    private const string Job = "job";
    private const string TargetNode = "target";
    private readonly string _path;
    private readonly LineSocket _control;
    private string _target = "";
    private int _targets;

    private QemuMirror(ServerProcess server, LineSocket control, string path)
    {
        Server = server;
        _control = control;
        _path = path;
    }

    public string Name => "qemu";

    public ServerProcess Server { get; }

    /// <summary>Starts it.</summary>
    /// <param name="sockets">A folder for sockets.</param>
    /// <param name="path">The disk; targets are made beside it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<QemuMirror> StartAsync(string sockets, string path, CancellationToken cancellationToken)
    {
        var (nbd, control) = (Path.Combine(sockets, "qemu.sock"), Path.Combine(sockets, "qmp.sock"));
        string[] arguments =
        [
            "--chardev", $"socket,id=qmp,path={control},server=on,wait=off", "--monitor", "chardev=qmp",
            "--blockdev", $"file,node-name=file,filename={path},aio=io_uring", "--blockdev", "raw,node-name=disk,file=file",
            "--nbd-server", $"addr.type=unix,addr.path={nbd}", "--export", "nbd,id=disk,node-name=disk,name=disk,writable=on",
        ];
        var server = await ServerProcess.StartAsync("qemu", "qemu-storage-daemon", arguments, nbd, cancellationToken);
        try
        {
            var qemu = new QemuMirror(server, await LineSocket.ConnectAsync(control, cancellationToken), path);
            await qemu._control.ReceiveAsync(cancellationToken);
            await qemu.DoAsync("qmp_capabilities", [], cancellationToken);
            return qemu;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    public async Task<string> StartAsync(CancellationToken cancellationToken)
    {
        _target = Path.Combine(Path.GetDirectoryName(_path)!, $"qemu-target-{++_targets}.raw");
        await using (var file = File.Create(_target))
            file.SetLength(new FileInfo(_path).Length);
        JsonObject node = new()
        {
            ["driver"] = "raw",
            ["node-name"] = TargetNode,
            ["file"] = new JsonObject { ["driver"] = "file", ["filename"] = _target, ["aio"] = "io_uring" },
        };
        await DoAsync("blockdev-add", node, cancellationToken);
        JsonObject mirror = new()
        {
            ["job-id"] = Job,
            ["device"] = "disk",
            ["target"] = TargetNode,
            ["sync"] = "full",
            ["copy-mode"] = "write-blocking",
        };
        await DoAsync("blockdev-mirror", mirror, cancellationToken);
        return _target;
    }

    public async Task<bool> IsInSyncAsync(CancellationToken cancellationToken) =>
        (await JobsAsync(cancellationToken)).Single()!["ready"]!.GetValue<bool>();

    public async Task CancelAsync(CancellationToken cancellationToken)
    {
        await DoAsync("block-job-cancel", new JsonObject { ["device"] = Job, ["force"] = true }, cancellationToken);
        while ((await JobsAsync(cancellationToken)).Count > 0)
            await Task.Delay(5, cancellationToken);
        await DoAsync("blockdev-del", new JsonObject { ["node-name"] = TargetNode }, cancellationToken);
        File.Delete(_target);
    }

    public ValueTask DisposeAsync()
    {
        _control.Dispose();
        return Server.DisposeAsync();
    }

    private async Task<JsonArray> JobsAsync(CancellationToken cancellationToken) =>
        (await DoAsync("query-block-jobs", [], cancellationToken))!.AsArray();

    private async Task<JsonNode?> DoAsync(string command, JsonObject arguments, CancellationToken cancellationToken)
    {
        JsonObject request = new() { ["execute"] = command, ["arguments"] = arguments };
        await _control.SendAsync(JsonSerializer.SerializeToUtf8Bytes(request), cancellationToken);
        while (true)
        {
            // Events come in between.
            var reply = JsonNode.Parse(await _control.ReceiveAsync(cancellationToken))!.AsObject();
            if (reply.ContainsKey("error"))
                throw new InvalidOperationException($"{command}: {reply["error"]!["desc"]}");
            if (reply.TryGetPropertyValue("return", out var result))
                return result;
        }
    }
}
