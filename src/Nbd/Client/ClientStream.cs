using System.Net.Sockets;
using Godwit.Nbd.Tls;
using Godwit.Storage;

namespace Godwit.Nbd.Client;

/// <summary>The client's socket: exact reads through a small buffer, whole writes. One reader and one writer at a time.</summary>
internal sealed class ClientStream(Socket socket, string path) : IDisposable
{
    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(64 << 10, pinned: true);
    private Stream? _secure;
    private int _start;
    private int _end;
    private long _moved;

    /// <summary>The address, for messages.</summary>
    public string Path { get; } = path;

    /// <summary>Bytes sent and received so far: while requests are on their way and it stands still, the server is silent.</summary>
    public long Moved => Volatile.Read(ref _moved);

    /// <summary>Encrypts everything from here on.</summary>
    /// <exception cref="StorageException">The server is not who it should be, does not take us for who we should be, or speaks
    /// no TLS 1.3.</exception>
    public async ValueTask EncryptAsync(IEncryption identity, string serverName, CancellationToken cancellationToken)
    {
        // Whatever stands behind the server's consent was sent in clear, and by whom nobody knows.
        if (_start != _end)
            throw new StorageException(StorageErrorKind.IoFailed, "the NBD server sent something in clear behind its consent to TLS", Path);
        _secure = await identity.ConnectAsync(socket, serverName, Path, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Fills a buffer.</summary>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.Closed"/>: the server hung up or the connection broke.</exception>
    public async ValueTask ReadAsync(Memory<byte> to, CancellationToken cancellationToken)
    {
        while (!to.IsEmpty)
        {
            if (_start == _end && to.Length >= _buffer.Length / 2)
            {
                to = to[await ReceiveAsync(to, cancellationToken).ConfigureAwait(false)..];
                continue;
            }

            if (_start == _end)
                (_start, _end) = (0, await ReceiveAsync(_buffer, cancellationToken).ConfigureAwait(false));
            var count = Math.Min(to.Length, _end - _start);
            _buffer.AsSpan(_start, count).CopyTo(to.Span);
            _start += count;
            to = to[count..];
        }
    }

    /// <summary>Sends a buffer whole.</summary>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.Closed"/>: the connection broke.</exception>
    public async ValueTask WriteAsync(ReadOnlyMemory<byte> from, CancellationToken cancellationToken)
    {
        try
        {
            if (_secure is { } secure)
            {
                await secure.WriteAsync(from, cancellationToken).ConfigureAwait(false);
                Interlocked.Add(ref _moved, from.Length);
                return;
            }

            while (!from.IsEmpty)
            {
                var sent = await socket.SendAsync(from, SocketFlags.None, cancellationToken).ConfigureAwait(false);
                Interlocked.Add(ref _moved, sent);
                from = from[sent..];
            }
        }
        catch (Exception failure) when (failure is not (OperationCanceledException or StorageException))
        {
            throw Closed(failure);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // The socket first: it brings a reader or writer inside the encryption loose.
        socket.Dispose();
        _secure?.Dispose();
    }

    private async ValueTask<int> ReceiveAsync(Memory<byte> to, CancellationToken cancellationToken)
    {
        try
        {
            var count = _secure is { } secure
                ? await secure.ReadAsync(to, cancellationToken).ConfigureAwait(false)
                : await socket.ReceiveAsync(to, SocketFlags.None, cancellationToken).ConfigureAwait(false);
            Interlocked.Add(ref _moved, count);
            return count > 0 ? count : throw Closed(null);
        }
        catch (Exception failure) when (failure is not (OperationCanceledException or StorageException))
        {
            throw Closed(failure);
        }
    }

    private StorageException Closed(Exception? cause) => new(
        StorageErrorKind.Closed, "the NBD server closed the connection; check that it runs", Path, inner: cause);
}
