using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Nbd.Client;

/// <summary>The requests of a connection by cookie. Thread-safe: callers, the reader and cancellation meet here.</summary>
internal sealed class RequestTable : IDisposable
{
    /// <summary>Requests on their way at once; further callers wait.</summary>
    public const int Size = 64;

    private readonly bool _extended;
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _room = new(Size, Size);
    private readonly ClientRequest[] _slots = new ClientRequest[Size];
    private readonly int[] _free = new int[Size];
    private int _freeCount;
    private StorageException? _death;

    /// <summary>Makes the table.</summary>
    /// <param name="extended">Requests have extended headers.</param>
    public RequestTable(bool extended)
    {
        _extended = extended;
        for (var i = 0; i < Size; i++)
        {
            _slots[i] = new ClientRequest(i, 0);
            _free[_freeCount++] = i;
        }
    }

    /// <summary>Requests somebody waits for, or whose answer is still to come.</summary>
    public int Count => Size - _room.CurrentCount;

    /// <summary>Why the connection is dead; null while it lives.</summary>
    public StorageException? Death
    {
        get
        {
            lock (_lock)
                return _death;
        }
    }

    /// <summary>Waits for a free slot. Given back by <see cref="Release"/>, or by nobody once abandoned.</summary>
    public async ValueTask<ClientRequest> TakeAsync(CancellationToken cancellationToken)
    {
        await _room.WaitAsync(cancellationToken).ConfigureAwait(false);
        lock (_lock)
            return _slots[_free[--_freeCount]];
    }

    /// <summary>Makes a request known under its cookie, right before it is sent.</summary>
    /// <exception cref="StorageException">The connection is dead; the slot has to be released.</exception>
    public void Begin(ClientRequest request, NbdCommand command, NbdCommandFlags flags, long offset, long length, Memory<byte> buffer)
    {
        lock (_lock)
        {
            if (_death is { } death)
                throw Again(death);
            request.Begin(command, flags, offset, length, buffer, _extended);
        }
    }

    /// <summary>Frees the slot of a request whose caller has its outcome.</summary>
    public void Release(ClientRequest request)
    {
        lock (_lock)
        {
            // The answer to an abandoned request is still to come: its slot is freed then.
            if (request.IsAbandoned)
                return;
            Free(request.Slot);
        }
    }

    /// <summary>The request an answer belongs to; null when there is none.</summary>
    public ClientRequest? Find(ulong cookie)
    {
        lock (_lock)
        {
            var slot = (uint)cookie;
            return slot < Size && _slots[slot] is { IsActive: true } request && request.Cookie == cookie ? request : null;
        }
    }

    /// <summary>The reader wants to write into the caller's buffer. False when the caller has left.</summary>
    public bool TryEnterBuffer(ClientRequest request)
    {
        lock (_lock)
        {
            request.IsReceiving = !request.IsAbandoned;
            return request.IsReceiving;
        }
    }

    /// <summary>The reader is out of the caller's buffer.</summary>
    public void LeaveBuffer(ClientRequest request)
    {
        lock (_lock)
        {
            request.IsReceiving = false;
            if (request.LeaveReason is not { } reason)
                return;
            if (_death is null)
            {
                request.Abandon(reason);
                return;
            }

            request.End();
            request.Fail(reason);
        }
    }

    /// <summary>The caller's token was cancelled.</summary>
    public void Cancel(ClientRequest request, ulong cookie)
    {
        lock (_lock)
        {
            if (!request.IsActive || request.IsAbandoned || request.Cookie != cookie)
                return;
            if (request.IsReceiving)
                request.LeaveReason = new OperationCanceledException();
            else
                request.Abandon(new OperationCanceledException());
        }
    }

    /// <summary>The last part of the answer has come.</summary>
    public void Complete(ClientRequest request)
    {
        lock (_lock)
        {
            if (request.IsAbandoned)
            {
                Forget(request);
                return;
            }

            request.End();
            if (request.Error is { } error)
                request.Fail(error);
            else
                request.Succeed();
        }
    }

    /// <summary>The connection is dead: everything on its way fails, and so does everything later.</summary>
    public void Die(StorageException reason)
    {
        lock (_lock)
        {
            if (_death is not null)
                return;
            _death = reason;
            for (var i = 0; i < Size; i++)
            {
                if (_slots[i].IsActive)
                    FailBecause(_slots[i], reason);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _room.Dispose();

    private static StorageException Again(StorageException death) => new(death.Kind, death.Reason, death.Path, inner: death);

    private void FailBecause(ClientRequest request, StorageException death)
    {
        if (request.IsAbandoned)
        {
            Forget(request);
        }
        else if (request.IsReceiving)
        {
            // The reader is still in the caller's buffer; the caller gets both back together.
            request.LeaveReason ??= Again(death);
        }
        else
        {
            request.End();
            request.Fail(Again(death));
        }
    }

    private void Forget(ClientRequest request)
    {
        // The old object may still be looked at by the caller that left; the slot gets a new one.
        _slots[request.Slot] = new ClientRequest(request.Slot, request.Generation);
        request.End();
        Free(request.Slot);
    }

    private void Free(int slot)
    {
        _free[_freeCount++] = slot;
        _room.Release();
    }
}
