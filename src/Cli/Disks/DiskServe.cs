using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using Godwit.Api.Disks;
using Godwit.Cli.Text;
using Godwit.Nbd;
using Godwit.Storage;
using Godwit.Storage.Decorators;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk serve</summary>
internal sealed class DiskServe
{
    private readonly Argument<string> _path = DiskCommands.PathArgument("FILE");
    private readonly Option<DiskFormat?> _format = DiskCommands.ExpectedFormatOption();
    private readonly ChainArguments _chain = new();
    private readonly Option<string?> _socket = new("--socket")
    {
        Description = "The unix socket to listen on; must not exist",
        HelpName = "PATH",
    };

    private readonly Option<string?> _listen = new("--listen")
    {
        Description = "The TCP port to listen on, such as 127.0.0.1:10809; other addresses than this computer's own need the --tls options",
        HelpName = "ADDRESS:PORT",
    };

    private readonly TlsArguments _tls = new();

    private readonly Option<bool> _readOnly = new("--read-only") { Description = "Refuse writes; others may read the file meanwhile" };
    private readonly Option<bool> _resizable = new("--resizable") { Description = "Let clients make the disk larger (NBD_CMD_RESIZE)" };
    private readonly Option<string> _cache = CacheOption();
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
            "serve", "Serves a disk over NBD until ^C", "godwit disk serve data.vhdx --socket /run/user/1000/data.sock")
        {
            serve._path, serve._format, serve._socket, serve._listen, serve._readOnly, serve._resizable, serve._cache, serve._name,
        };
        serve._chain.AddTo(verb);
        serve._tls.AddTo(verb);
        verb.AddJson("Write uri, socket or listen, encrypted, name, path, size and readOnly as JSON once clients can connect");
        verb.Does(shell, global, serve.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var path = session.Shell.AbsolutePath(session.Get(_path));
        var (format, readOnly) = (session.Get(_format), session.Get(_readOnly));
        var name = session.Get(_name) ?? "";
        if (session.Get(_socket) is null == session.Get(_listen) is null)
            throw new UsageException("give either --socket PATH or --listen ADDRESS:PORT");
        if (readOnly && session.Get(_resizable))
            throw new UsageException("a disk served with --read-only is not --resizable");
        using var identity = _tls.Read(session);
        var port = session.Get(_listen) is { } text ? ServeAddress.ReadPort(text, identity is not null) : null;
        await using var device = await OpenAsync(session, path, format, readOnly, cancellationToken);
        using var address = Listen(session, port, name, identity is not null);
        var report = new DiskServeReport(
            address.Uri, address.SocketPath, address.Port, identity is not null, name, path, device.Length, readOnly);
        if (!session.TryWriteJson(report, JsonText.Own.DiskServeReport))
            await session.Shell.Out.WriteLineAsync(report.Uri);
        await session.Shell.Out.FlushAsync(cancellationToken);
        session.Talk.Say(
            $"serving {path} ({ByteSize.Format(device.Length)}{(readOnly ? ", read-only" : "")}) on {address.SocketPath ?? address.Port} until ^C");
        var export = new NbdExport(name, device) { Description = Path.GetFileName(path), Resizable = session.Get(_resizable) };
        await ServeAsync(session, export, identity, address.Listener, cancellationToken);
        await device.FlushAsync(CancellationToken.None);
        session.Talk.Say("stopped; everything written is on the disk");
        return ExitCode.Ok;
    }

    private static Option<string> CacheOption()
    {
        var option = new Option<string>("--cache")
        {
            Description = "When a write is done: none (the host's disk has it; around the page cache), writethrough (it survives a power cut) "
                + "or writeback (it is in the page cache)",
            HelpName = "MODE",
            DefaultValueFactory = _ => "writeback",
        };
        option.AcceptOnlyFromAmong(DiskCaches.Words);
        return option;
    }

    private async Task<BlockDevice> OpenAsync(Session session, string path, DiskFormat? format, bool readOnly, CancellationToken cancellationToken)
    {
        var cache = DiskCaches.TryParse(session.Get(_cache)!, out var read) ? read : DiskCache.Writeback;
        var chain = await _chain.OpenChainAsync(session, path, format, readOnly, cache.ToFile(), cancellationToken);
        foreach (var gap in chain.Gaps)
            session.Talk.Say($"warning: {gap}");
        return cache == DiskCache.Writethrough && !readOnly ? new WriteThroughDisk(chain.Device) : chain.Device;
    }

    private ServeAddress Listen(Session session, IPEndPoint? port, string name, bool encrypted) => port is null
        ? ServeAddress.OnSocket(session.Shell.AbsolutePath(session.Get(_socket)!), name, encrypted)
        : ServeAddress.OnPort(port, name, encrypted);

    private static Task ServeAsync(
        Session session, NbdExport export, NbdTlsIdentity? identity, Socket listener, CancellationToken cancellationToken)
    {
        var options = new NbdServerOptions { Time = session.Shell.Time, OnProblem = session.Talk.Say, Tls = identity };
        return new NbdServer([export], options).RunAsync(listener, cancellationToken);
    }
}
