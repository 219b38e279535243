using System.Net.Sockets;
using System.Text;

namespace Godwit.Benchmarks.Mirror;

/// <summary>A unix socket on which one line is asked and one answered: the worker's control socket, and QMP.</summary>
internal sealed class LineSocket : IDisposable
{
    private readonly NetworkStream _stream;
    private readonly StreamReader _reader;

    private LineSocket(Socket socket)
    {
        _stream = new NetworkStream(socket, ownsSocket: true);
        _reader = new StreamReader(_stream, Encoding.UTF8, leaveOpen: true);
    }

    public static async Task<LineSocket> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
            return new LineSocket(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public async Task SendAsync(ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        byte[] line = [.. json.Span, (byte)'\n'];
        await _stream.WriteAsync(line, cancellationToken);
    }

    public async Task<string> ReceiveAsync(CancellationToken cancellationToken) =>
        await _reader.ReadLineAsync(cancellationToken) ?? throw new IOException("the other side has hung up");

    public void Dispose()
    {
        _reader.Dispose();
        _stream.Dispose();
    }
}
