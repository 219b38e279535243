using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Godwit.Storage;

namespace Godwit.Cli.Disks;

/// <summary>Where a served disk can be reached: a unix socket, or a TCP port. What it made goes when it is disposed.</summary>
internal sealed class ServeAddress : IDisposable
{
    private readonly ServeSocket? _unix;
    private readonly string _name;
    private readonly bool _encrypted;

    private ServeAddress(Socket listener, ServeSocket? unix, string? path, string name, bool encrypted)
    {
        Listener = listener;
        SocketPath = path;
        _unix = unix;
        _name = name;
        _encrypted = encrypted;
    }

    /// <summary>Bound and listening.</summary>
    public Socket Listener { get; }

    /// <summary>The unix socket; null for a port.</summary>
    public string? SocketPath { get; }

    /// <summary>HOST:PORT as bound; null for a unix socket.</summary>
    public string? Port => Listener.LocalEndPoint is IPEndPoint address ? address.ToString() : null;

    /// <summary>What to give to a client.</summary>
    public string Uri
    {
        get
        {
            var (scheme, name) = (_encrypted ? "nbds" : "nbd", System.Uri.EscapeDataString(_name));
            return SocketPath is null
                ? $"{scheme}://{Port}/{name}"
                : $"{scheme}+unix:///{name}?socket={System.Uri.EscapeDataString(SocketPath).Replace("%2F", "/", StringComparison.Ordinal)}";
        }
    }

    /// <summary>Listens on a unix socket.</summary>
    public static ServeAddress OnSocket(string path, string name, bool encrypted)
    {
        var unix = ServeSocket.Bind(path);
        return new ServeAddress(unix.Listener, unix, path, name, encrypted);
    }

    /// <summary>Listens on a port.</summary>
    /// <exception cref="StorageException">The address is not this computer's, the port is taken, or the user may not.</exception>
    public static ServeAddress OnPort(IPEndPoint address, string name, bool encrypted)
    {
        var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(address);
            listener.Listen();
            return new ServeAddress(listener, null, null, name, encrypted);
        }
        catch (SocketException failure)
        {
            listener.Dispose();
            var kind = failure.SocketErrorCode == SocketError.AccessDenied ? StorageErrorKind.AccessDenied : StorageErrorKind.InUse;
            throw new StorageException(kind, $"cannot listen there: {failure.Message}", address.ToString(), operation: "serve");
        }
    }

    /// <summary>Reads HOST:PORT. Numbers and "localhost" only: a name would be looked up, and answered by somebody else.</summary>
    /// <param name="text">Such as 127.0.0.1:10809, [::]:10809 or localhost:0.</param>
    /// <param name="encrypted">Without encryption only this computer may connect.</param>
    /// <exception cref="UsageException">It cannot be read, or everybody on the network could read and write the disk.</exception>
    public static IPEndPoint ReadPort(string text, bool encrypted)
    {
        var colon = text.LastIndexOf(':');
        var host = colon < 0 ? "" : text[..colon];
        if (host == "localhost")
            host = "127.0.0.1";
        if (host.StartsWith('[') && host.EndsWith(']'))
            host = host[1..^1];
        else if (host.Contains(':', StringComparison.Ordinal))
            host = "";
        if (!IPAddress.TryParse(host, out var address)
            || !ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port))
        {
            throw new UsageException("--listen: give ADDRESS:PORT, as in 127.0.0.1:10809 or [::]:10809");
        }

        if (!encrypted && !IPAddress.IsLoopback(address))
        {
            throw new UsageException(
                "--listen: without encryption everybody on the network could read and write the disk; "
                + "give --tls-cert, --tls-key and --tls-ca, or an address of this computer alone (127.0.0.1)");
        }

        return new IPEndPoint(address, port);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_unix is { } unix)
            unix.Dispose();
        else
            Listener.Dispose();
    }
}
