using System.Net;
using System.Net.Sockets;
using Godwit.Nbd.Client;
using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Nbd;

/// <summary>An export of an NBD server as a block device.</summary>
/// <remarks>
/// Requests are pipelined on one connection and may be answered in any order. When the connection breaks, or the server
/// breaks the protocol, everything on its way and everything later fails with <see cref="StorageErrorKind.Closed"/> or
/// <see cref="StorageErrorKind.IoFailed"/>; there is no reconnecting. Cancelling leaves a request to the server, which may
/// or may not carry it out.
/// </remarks>
public sealed class NbdDevice : BlockDevice
{
    /// <summary>Most bytes of one trim, zeroing or block status without extended headers; a multiple of every sector size,
    /// and below 32 bits.</summary>
    private const long MaxCompactRange = 1L << 30;

    private const int MostAttempts = 500;

    private readonly ClientConnection _connection;
    private readonly ClientSession _session;
    private byte[]? _zeroes;
    private bool _disposed;

    private NbdDevice(ClientConnection connection, string path)
        : base(connection.Session.Size, CapabilitiesOf(connection.Session))
    {
        _connection = connection;
        _session = connection.Session;
        Path = path;
    }

    /// <inheritdoc/>
    public override string? Path { get; }

    internal ClientConnection Connection => _connection;

    internal bool CanMultiConn => _session.Has(NbdTransmissionFlags.CanMultiConn);

    /// <summary>Connects to an export.</summary>
    /// <param name="server">A <see cref="UnixDomainSocketEndPoint"/> or an IP end point.</param>
    /// <param name="exportName">Name of the export; "" for the server's default.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">No server there, no such export, a size that is not whole sectors, or a server
    /// that breaks the protocol.</exception>
    public static ValueTask<NbdDevice> ConnectAsync(EndPoint server, string exportName, CancellationToken cancellationToken) =>
        ConnectAsync(server, exportName, new NbdClientOptions(), cancellationToken);

    /// <summary>Connects to an export.</summary>
    /// <param name="server">A <see cref="UnixDomainSocketEndPoint"/> or an IP end point.</param>
    /// <param name="exportName">Name of the export; "" for the server's default.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">No server there, no such export, a size that is not whole sectors, or a server
    /// that breaks the protocol.</exception>
    public static async ValueTask<NbdDevice> ConnectAsync(
        EndPoint server, string exportName, NbdClientOptions options, CancellationToken cancellationToken)
    {
        var path = $"nbd:{server}:{exportName}";
        var stream = await OpenAsync(server, path, cancellationToken).ConfigureAwait(false);
        ClientConnection? connection = null;
        try
        {
            var session = await new ClientHandshake(stream, exportName, options, server).RunAsync(cancellationToken).ConfigureAwait(false);
            if (session.Size % session.MinBlock != 0)
            {
                throw new StorageException(
                    StorageErrorKind.Unsupported, $"the export's {session.Size} bytes are not whole {session.MinBlock}-byte sectors", path);
            }

            connection = new ClientConnection(stream, session);
            return new NbdDevice(connection, path);
        }
        finally
        {
            if (connection is null)
                stream.Dispose();
        }
    }

    /// <summary>Tells whether the start of a range may have changed since the point of <see cref="NbdClientOptions.ChangesSince"/>.</summary>
    /// <param name="offset">First byte; a multiple of the sector size.</param>
    /// <param name="length">Bytes the caller is interested in; a multiple of the sector size, above zero, inside the device.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>The run that starts at <paramref name="offset"/>, cut to <paramref name="length"/>. The next one may be of the same kind.</returns>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.Unsupported"/>: no point was asked for; or the range is invalid, or the
    /// connection failed.</exception>
    public async ValueTask<ChangedRun> GetChangesAsync(long offset, long length, CancellationToken cancellationToken)
    {
        if (_session.Contexts.Changes is null)
            throw new StorageException(StorageErrorKind.Unsupported, "the connection was made without a point", Path, offset, "changes");
        var answer = await _connection.AskAsync(
            NbdCommand.BlockStatus, NbdCommandFlags.None, offset, Math.Min(length, MaxRange), default, default, cancellationToken).ConfigureAwait(false);
        return answer.Changes!.Value;
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (!_disposed)
        {
            _disposed = true;
            await CloseAsync().ConfigureAwait(false);
        }

        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override async ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (!buffer.IsEmpty)
        {
            var count = Math.Min(buffer.Length, _session.MaxPayload);
            await _connection.AskAsync(
                NbdCommand.Read, NbdCommandFlags.None, offset, count, buffer[..count], default, cancellationToken).ConfigureAwait(false);
            buffer = buffer[count..];
            offset += count;
        }
    }

    /// <inheritdoc/>
    protected override async ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        while (!buffer.IsEmpty)
        {
            var count = Math.Min(buffer.Length, _session.MaxPayload);
            await _connection.AskAsync(
                NbdCommand.Write, FuaFlag(flags), offset, count, default, buffer[..count], cancellationToken).ConfigureAwait(false);
            buffer = buffer[count..];
            offset += count;
        }

        await FlushInsteadOfFuaAsync(flags, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override async ValueTask FlushCoreAsync(CancellationToken cancellationToken)
    {
        if (!_session.Has(NbdTransmissionFlags.SendFlush))
            throw new StorageException(StorageErrorKind.Unsupported, "the NBD server cannot flush", Path, operation: "flush");
        await _connection.AskAsync(NbdCommand.Flush, NbdCommandFlags.None, 0, 0, default, default, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        AskForRangeAsync(NbdCommand.Trim, NbdCommandFlags.None, offset, length, cancellationToken);

    /// <inheritdoc/>
    protected override async ValueTask WriteZeroesCoreAsync(
        long offset, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        if (_session.Has(NbdTransmissionFlags.SendWriteZeroes))
        {
            var keep = (flags & WriteFlags.KeepAllocated) != 0 ? NbdCommandFlags.NoHole : NbdCommandFlags.None;
            await AskForRangeAsync(NbdCommand.WriteZeroes, FuaFlag(flags) | keep, offset, length, cancellationToken).ConfigureAwait(false);
            await FlushInsteadOfFuaAsync(flags, cancellationToken).ConfigureAwait(false);
            return;
        }

        var zeroes = _zeroes ??= new byte[Math.Min(1 << 20, _session.MaxPayload)];
        for (long done = 0; done < length; done += zeroes.Length)
        {
            var count = (int)Math.Min(zeroes.Length, length - done);
            await WriteCoreAsync(offset + done, zeroes.AsMemory(0, count), flags, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    protected override async ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        if (_session.Contexts.Allocation is null)
            return new Extent(offset, length, ExtentKind.Data);
        var count = Math.Min(length, MaxRange);
        var answer = await _connection.AskAsync(
            NbdCommand.BlockStatus, NbdCommandFlags.None, offset, count, default, default, cancellationToken).ConfigureAwait(false);
        return answer.Extent!.Value;
    }

    /// <inheritdoc/>
    protected override async ValueTask ResizeCoreAsync(long length, CancellationToken cancellationToken) =>
        await _connection.AskAsync(NbdCommand.Resize, NbdCommandFlags.None, length, 0, default, default, cancellationToken).ConfigureAwait(false);

    private long MaxRange => _session.ExtendedHeaders ? long.MaxValue : MaxCompactRange;

    private static async ValueTask<ClientStream> OpenAsync(EndPoint server, string path, CancellationToken cancellationToken)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return await TryOpenAsync(server, path, cancellationToken).ConfigureAwait(false);
            }
            catch (SocketException full) when (full.SocketErrorCode == SocketError.WouldBlock && attempt < MostAttempts)
            {
                // Too many come at once for the server's queue; a unix socket says so instead of letting us wait.
                await Task.Delay(10, cancellationToken).ConfigureAwait(false);
            }
            catch (SocketException failure)
            {
                throw new StorageException(StorageErrorKind.NotFound, $"no NBD server answers there: {failure.Message}", path, inner: failure);
            }
        }
    }

    private static async ValueTask<ClientStream> TryOpenAsync(EndPoint server, string path, CancellationToken cancellationToken)
    {
        var unix = server.AddressFamily == AddressFamily.Unix;
        var socket = new Socket(server.AddressFamily, SocketType.Stream, unix ? ProtocolType.Unspecified : ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(server, cancellationToken).ConfigureAwait(false);
            if (!unix)
                socket.NoDelay = true;
            return new ClientStream(socket, path);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            socket.Dispose();
            throw;
        }
    }

    private static DiskCapabilities CapabilitiesOf(ClientSession session) => new(
        session.MinBlock,
        session.PreferredBlock,
        session.Has(NbdTransmissionFlags.ReadOnly),
        session.Has(NbdTransmissionFlags.SendTrim) ? TrimResult.Undefined : TrimResult.Ignored,
        CanResize: session.Has(NbdTransmissionFlags.SendResize) && !session.Has(NbdTransmissionFlags.ReadOnly));

    private NbdCommandFlags FuaFlag(WriteFlags flags) =>
        (flags & WriteFlags.ForceUnitAccess) != 0 && _session.Has(NbdTransmissionFlags.SendFua)
            ? NbdCommandFlags.ForceUnitAccess
            : NbdCommandFlags.None;

    private ValueTask FlushInsteadOfFuaAsync(WriteFlags flags, CancellationToken cancellationToken) =>
        (flags & WriteFlags.ForceUnitAccess) != 0 && !_session.Has(NbdTransmissionFlags.SendFua)
            ? FlushCoreAsync(cancellationToken)
            : ValueTask.CompletedTask;

    private async ValueTask AskForRangeAsync(
        NbdCommand command, NbdCommandFlags flags, long offset, long length, CancellationToken cancellationToken)
    {
        while (length > 0)
        {
            var count = Math.Min(length, MaxRange);
            await _connection.AskAsync(command, flags, offset, count, default, default, cancellationToken).ConfigureAwait(false);
            offset += count;
            length -= count;
        }
    }

    private async ValueTask CloseAsync()
    {
        try
        {
            if (!Capabilities.ReadOnly && _session.Has(NbdTransmissionFlags.SendFlush))
                await FlushCoreAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (StorageException)
        {
            // The connection is gone already; who needed the flush has asked for it.
        }

        await _connection.DisposeAsync().ConfigureAwait(false);
    }
}
