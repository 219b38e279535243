using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;
using Godwit.Benchmarks.Interop;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Nbd;

/// <summary>A server process that offers "raw" and "vhdx" on a unix socket.</summary>
internal sealed class ServerProcess : IAsyncDisposable
{
    private readonly Process _process;

    private ServerProcess(string name, string socket, Process process)
    {
        Name = name;
        Socket = socket;
        _process = process;
    }

    /// <summary>"godwit", "qsd-threads" or "qsd-io_uring".</summary>
    public string Name { get; }

    public string Socket { get; }

    /// <summary>Processor time used so far.</summary>
    public TimeSpan ProcessorTime => ProcessClock.Read(_process.Id);

    /// <summary>Bytes of memory in use now.</summary>
    public long ResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
    }

    /// <summary>The worker as it is shipped.</summary>
    public static Task<ServerProcess> StartGodwitAsync(string worker, string folder, CancellationToken cancellationToken)
    {
        var config = Path.Combine(folder, "godwit");
        Directory.CreateDirectory(config);
        WorkerDiskConfig[] disks =
        [
            new(new WorkerDisk("raw", Path.Combine(folder, "godwit.raw"), DiskFormat.Raw)),
            new(new WorkerDisk("vhdx", Path.Combine(folder, "godwit.vhdx"), DiskFormat.VhdxDynamic)),
        ];
        var json = JsonSerializer.SerializeToUtf8Bytes(new WorkerConfig(Guid.NewGuid(), disks), ApiJson.Default.WorkerConfig);
        File.WriteAllBytes(Path.Combine(config, "worker.json"), json);
        var process = ChildProgram.Start(worker, ["serve", "--config", config, "--run", config], null, redirect: true);
        return ReadyAsync("godwit", Path.Combine(config, "nbd.sock"), process, cancellationToken);
    }

    /// <summary>QEMU's exporter; its own lock is off, because two of them would be in each other's way.</summary>
    public static Task<ServerProcess> StartQemuAsync(string aio, string folder, CancellationToken cancellationToken)
    {
        var socket = Path.Combine(folder, $"qsd-{aio}.sock");
        var process = ChildProgram.Start(
            "qemu-storage-daemon",
            [
                .. Blocks("raw", aio, folder), .. Blocks("vhdx", aio, folder),
                "--nbd-server", $"addr.type=unix,addr.path={socket}",
                "--export", "nbd,id=raw,node-name=raw,name=raw,writable=on", "--export", "nbd,id=vhdx,node-name=vhdx,name=vhdx,writable=on",
            ],
            null,
            redirect: true);
        return ReadyAsync($"qsd-{aio}", socket, process, cancellationToken);
    }

    /// <summary>Any server of a unix socket.</summary>
    public static Task<ServerProcess> StartAsync(
        string name, string program, IReadOnlyList<string> arguments, string socket, CancellationToken cancellationToken) =>
        ReadyAsync(name, socket, ChildProgram.Start(program, arguments, null, redirect: true), cancellationToken);

    public async ValueTask DisposeAsync()
    {
        // With all it has started: the server may be the child of a program that counts its calls.
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private static string[] Blocks(string format, string aio, string folder) =>
    [
        "--blockdev", $"file,node-name={format}-file,filename={Path.Combine(folder, $"qsd-{aio}.{format}")},aio={aio},locking=off",
        "--blockdev", $"{format},node-name={format},file={format}-file",
    ];

    private static async Task<ServerProcess> ReadyAsync(string name, string socket, Process process, CancellationToken cancellationToken)
    {
        var server = new ServerProcess(name, socket, process);
        for (var attempt = 0; attempt < 500 && !process.HasExited; attempt++)
        {
            if (Answers(socket))
                return server;
            await Task.Delay(20, cancellationToken);
        }

        var said = process.HasExited ? await process.StandardError.ReadToEndAsync(cancellationToken) : "it does not listen";
        await server.DisposeAsync();
        throw new InvalidOperationException($"{name} did not start: {said}");
    }

    private static bool Answers(string path)
    {
        if (!File.Exists(path))
            return false;
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
