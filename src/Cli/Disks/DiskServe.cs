using System.CommandLine;
using System.Net.Sockets;
using Godwit.Api.Disks;
using Godwit.Cli.Text;
using Godwit.Nbd;
using Godwit.Storage;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk serve</summary>
internal sealed class DiskServe
{
    private readonly Argument<string> _path = DiskCommands.PathArgument("FILE");
    private readonly Option<DiskFormat?> _format = DiskCommands.ExpectedFormatOption();
    private readonly ChainArguments _chain = new();
    private readonly Option<string> _socket = new("--socket")
    {
        Description = "The unix socket to listen on; must not exist",
        HelpName = "PATH",
        Required = true,
    };

    private readonly Option<bool> _readOnly = new("--read-only") { Description = "Refuse writes; others may read the file meanwhile" };
    private readonly Option<string?> _name = new("--name")
    {
        Description = "The export's name; clients that ask for none get it too",
        HelpName = "NAME",
    };

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var serve = new DiskServe();
        var verb = new Verb(
            "serve", "Serves a disk over NBD on a unix socket until ^C", "godwit disk serve data.vhdx --socket /run/user/1000/data.sock")
        {
            serve._path, serve._format, serve._socket, serve._readOnly, serve._name,
        };
        serve._chain.AddTo(verb);
        verb.AddJson("Write uri, socket, name, path, size and readOnly as JSON once clients can connect");
        verb.Does(shell, global, serve.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var path = session.Shell.AbsolutePath(session.Get(_path));
        var (format, readOnly) = (session.Get(_format), session.Get(_readOnly));
        var socket = session.Shell.AbsolutePath(session.Get(_socket)!);
        var name = session.Get(_name) ?? "";
        await using var device = await _chain.OpenAsync(session, path, format, readOnly, cancellationToken);
        using var listening = ServeSocket.Bind(socket);
        var report = new DiskServeReport(UriOf(socket, name), socket, name, path, device.Length, readOnly);
        if (!session.TryWriteJson(report, JsonText.Own.DiskServeReport))
            await session.Shell.Out.WriteLineAsync(report.Uri);
        await session.Shell.Out.FlushAsync(cancellationToken);
        session.Talk.Say($"serving {path} ({ByteSize.Format(device.Length)}{(readOnly ? ", read-only" : "")}) until ^C");
        await ServeAsync(session, device, name, listening.Listener, cancellationToken);
        await device.FlushAsync(CancellationToken.None);
        session.Talk.Say("stopped; everything written is on the disk");
        return ExitCode.Ok;
    }

    private static Task ServeAsync(
        Session session, BlockDevice device, string name, Socket listener, CancellationToken cancellationToken)
    {
        var options = new NbdServerOptions { Time = session.Shell.Time, OnProblem = session.Talk.Say };
        return new NbdServer([new NbdExport(name, device)], options).RunAsync(listener, cancellationToken);
    }

    private static string UriOf(string socket, string name) =>
        $"nbd+unix:///{Uri.EscapeDataString(name)}?socket={Uri.EscapeDataString(socket).Replace("%2F", "/", StringComparison.Ordinal)}";
}
