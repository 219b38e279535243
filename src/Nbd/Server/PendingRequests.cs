using Godwit.Nbd.Interop;
using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>
/// The requests of a connection the device has not completed. Devices report completion from any thread; the connection's
/// thread collects it, so that replies have one writer and sending needs no lock.
/// </summary>
internal sealed class PendingRequests(Wire wire)
{
    private const int MaxCount = 64;
    private const long MaxLentBytes = 64L << 20;

    private PendingRequest? _completed;
    private PendingRequest? _spare;
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private long _lentBytes;

    /// <summary>Requests not answered yet.</summary>
    public int Count { get; private set; }

    /// <summary>No more requests may be started before one has been answered: memory is bounded.</summary>
    public bool IsFull => Count >= MaxCount || _lentBytes >= MaxLentBytes;

    /// <summary>There is something to answer.</summary>
    public bool HasCompleted => Volatile.Read(ref _completed) is not null;

    /// <summary>A request to fill in and then watch.</summary>
    /// <param name="kind">What it is.</param>
    /// <param name="tag">What its reply is marked with.</param>
    /// <param name="lent">Memory the device works in.</param>
    /// <param name="bytes">How much of it.</param>
    public PendingRequest Add(PendingKind kind, ReplyTag tag, PinnedBuffer? lent, int bytes)
    {
        var request = _spare ?? new PendingRequest(this);
        _spare = request.Next;
        request.Next = null;
        request.Kind = kind;
        request.Tag = tag;
        request.Lent = lent;
        Count++;
        if (lent is not null)
        {
            lent.Users++;
            request.LentBytes = bytes;
            _lentBytes += bytes;
        }

        return request;
    }

    /// <summary>Takes back a request that has been answered.</summary>
    public void Remove(PendingRequest request)
    {
        if (request.Lent is { } lent)
        {
            lent.Users--;
            _lentBytes -= request.LentBytes;
        }

        request.Lent = null;
        request.Read = null;
        request.Next = _spare;
        _spare = request;
        Count--;
    }

    /// <summary>Called by the device, on any thread.</summary>
    public void Completed(PendingRequest request)
    {
        var first = Volatile.Read(ref _completed);
        while (true)
        {
            request.Next = first;
            var seen = Interlocked.CompareExchange(ref _completed, request, first);
            if (ReferenceEquals(seen, first))
                break;
            first = seen;
        }

        // Whoever makes the list non-empty wakes the thread; the others are collected with it. The thread itself looks before it sleeps.
        if (first is null && Environment.CurrentManagedThreadId != _thread)
            wire.Wake();
    }

    /// <summary>All requests completed since the last call, linked by <see cref="PendingRequest.Next"/>.</summary>
    public PendingRequest? TakeCompleted() =>
        Volatile.Read(ref _completed) is null ? null : Interlocked.Exchange(ref _completed, null);
}
