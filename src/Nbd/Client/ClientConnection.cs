using System.Runtime.CompilerServices;
using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Nbd.Client;

/// <summary>The transmission phase of a client: requests go out in turn, answers come back in any order.</summary>
internal sealed class ClientConnection : IAsyncDisposable
{
    /// <summary>Payloads up to this size are copied behind their header and leave in one call.</summary>
    private const int JoinedPayload = 32 << 10;

    private readonly ClientStream _stream;
    private readonly RequestTable _table;
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly byte[] _staging = GC.AllocateUninitializedArray<byte>(NbdMagic.ExtendedRequestLength + JoinedPayload, pinned: true);
    private readonly CancellationTokenSource _closing = new();
    private readonly int _headerLength;
    private readonly Task _reading;

    public ClientConnection(ClientStream stream, ClientSession session)
    {
        _stream = stream;
        Session = session;
        _table = new RequestTable(session.ExtendedHeaders);
        _headerLength = RequestHeader.LengthOf(session.ExtendedHeaders);
        _reading = ReadAllAsync();
    }

    public ClientSession Session { get; }

    /// <summary>Requests on their way.</summary>
    public int Requests => _table.Count;

    /// <summary>Bytes sent and received so far.</summary>
    public long Moved => _stream.Moved;

    /// <summary>Why it is broken; null while it is not.</summary>
    public StorageException? Death => _table.Death;

    /// <summary>Sends a request and waits for its answer.</summary>
    /// <param name="command">What to do.</param>
    /// <param name="flags">How.</param>
    /// <param name="offset">First byte.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="into">Where the data of a read goes; the reader's until the task completes.</param>
    /// <param name="payload">The data of a write.</param>
    /// <param name="cancellationToken">Leaves without the answer; the server may or may not have carried the request out.</param>
    /// <returns>What a block status found.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<BlockStatusAnswer> AskAsync(
        NbdCommand command, NbdCommandFlags flags, long offset, long length,
        Memory<byte> into, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        var request = await _table.TakeAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await _sending.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                if (command == NbdCommand.Write && Session.ExtendedHeaders)
                    flags |= NbdCommandFlags.PayloadLength;
                _table.Begin(request, command, flags, offset, length, into);
                await SendAsync(request.Header, payload).ConfigureAwait(false);
            }
            finally
            {
                _sending.Release();
            }

            var registration = WatchCancellation(request, cancellationToken);
            await using (registration.ConfigureAwait(false))
                await request.Task.ConfigureAwait(false);
            return new BlockStatusAnswer(request.Extent, request.Changes);
        }
        finally
        {
            _table.Release(request);
        }
    }

    /// <summary>Says goodbye and closes; what is still on its way fails.</summary>
    public async ValueTask DisposeAsync()
    {
        if (await _sending.WaitAsync(TimeSpan.FromSeconds(1)).ConfigureAwait(false))
        {
            // The slot is of no use here: a goodbye has no answer.
            new RequestHeader(NbdCommandFlags.None, NbdCommand.Disconnect, 0, 0, 0, Session.ExtendedHeaders).Write(_staging);
            await SendQuietlyAsync(_staging.AsMemory(0, _headerLength)).ConfigureAwait(false);
            _sending.Release();
        }

        await _closing.CancelAsync().ConfigureAwait(false);
        _stream.Dispose();
        await _reading.ConfigureAwait(false);
        _closing.Dispose();
    }

    private CancellationTokenRegistration WatchCancellation(ClientRequest request, CancellationToken cancellationToken)
    {
        if (!cancellationToken.CanBeCanceled)
            return default;
        var cookie = request.Cookie;
        return cancellationToken.UnsafeRegister(_ => _table.Cancel(request, cookie), null);
    }

    /// <summary>Sends a request whole: half of one would leave the server waiting for the rest for ever.</summary>
    private async ValueTask SendAsync(RequestHeader header, ReadOnlyMemory<byte> payload)
    {
        header.Write(_staging);
        if (payload.Length <= JoinedPayload)
        {
            payload.CopyTo(_staging.AsMemory(_headerLength));
            await SendQuietlyAsync(_staging.AsMemory(0, _headerLength + payload.Length)).ConfigureAwait(false);
            return;
        }

        await SendQuietlyAsync(_staging.AsMemory(0, _headerLength)).ConfigureAwait(false);
        await SendQuietlyAsync(payload).ConfigureAwait(false);
    }

    /// <summary>Sends; a broken connection reaches the caller through the table, like every other.</summary>
    private async ValueTask SendQuietlyAsync(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            await _stream.WriteAsync(bytes, CancellationToken.None).ConfigureAwait(false);
        }
        catch (StorageException broken)
        {
            Die(broken);
        }
    }

    private async Task ReadAllAsync()
    {
        var reader = new ReplyReader(_stream, _table, Session);
        try
        {
            while (true)
                await reader.ReadOneAsync(_closing.Token).ConfigureAwait(false);
        }
        catch (StorageException broken)
        {
            Die(broken);
        }
        catch (OperationCanceledException)
        {
            Die(new StorageException(StorageErrorKind.Closed, "the NBD connection has been closed", _stream.Path));
        }
    }

    /// <summary>Breaks the connection now; what is on its way fails for this reason, and the server may yet carry it out.</summary>
    public void Die(StorageException reason)
    {
        _table.Die(reason);

        // After a broken protocol nothing that follows can be trusted; a waiting sender has to come loose too.
        _stream.Dispose();
    }
}

/// <summary>What a block status found at the start of its range.</summary>
/// <param name="Extent">Of base:allocation and godwit:layer, when they were agreed on.</param>
/// <param name="Changes">Of godwit:dirty, when that was agreed on.</param>
internal readonly record struct BlockStatusAnswer(Extent? Extent, ChangedRun? Changes);
