using System.Net.Sockets;
using System.Text;

namespace Godwit.Testing.Guest;

/// <summary>Types commands into the guest's serial socket. What the guest prints is thrown away here: read it with
/// <see cref="GuestLog"/>.</summary>
public sealed class GuestConsole : IAsyncDisposable
{
    private readonly Socket _socket;
    private readonly Task _drain;

    private GuestConsole(Socket socket)
    {
        _socket = socket;
        _drain = DrainAsync();
    }

    /// <summary>Connects to QEMU's serial socket.</summary>
    public static async Task<GuestConsole> ConnectAsync(string socketPath, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellationToken);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        return new GuestConsole(socket);
    }

    /// <summary>Sends one command.</summary>
    public async Task SendAsync(string command, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> left = Encoding.ASCII.GetBytes(command + "\n");
        while (!left.IsEmpty)
            left = left[await _socket.SendAsync(left, cancellationToken)..];
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _socket.Dispose();
        await _drain;
    }

    // Unread output would fill the socket, and then QEMU would hold the guest back.
    private async Task DrainAsync()
    {
        var buffer = new byte[64 << 10];
        try
        {
            while (await _socket.ReceiveAsync(buffer) > 0)
            {
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Closed by us or by QEMU's end: nothing more to throw away.
        }
    }
}
