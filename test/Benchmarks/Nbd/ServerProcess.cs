using System.Diagnostics;
using System.Net.Sockets;
using Godwit.Benchmarks.Interop;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Nbd;

/// <summary>A server process on a unix socket.</summary>
internal sealed class ServerProcess : IAsyncDisposable
{
    private readonly Process _process;

    private ServerProcess(string name, string socket, Process process)
    {
        Name = name;
        Socket = socket;
        _process = process;
    }

    /// <summary>"godwit", "qsd-threads", "qsd-io_uring" or "nbdkit".</summary>
    public string Name { get; }

    public string Socket { get; }

    /// <summary>Processor time used so far.</summary>
    /// <exception cref="InvalidOperationException">It has ended; what it said is in the message.</exception>
    public TimeSpan ProcessorTime => !_process.HasExited
        ? ProcessClock.Read(_process.Id)
        : throw new InvalidOperationException($"{Name} has ended with {_process.ExitCode}: {_process.StandardError.ReadToEnd()}");

    /// <summary>Bytes of memory in use now.</summary>
    public long ResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
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
