using System.Runtime.InteropServices;

namespace Godwit.Storage.Locking;

/// <summary>
/// Lets one holder at a time into each byte of a device. The one lock that serves write, trim, write-zeroes, copier and mirror.
/// </summary>
/// <remarks>
/// <para>Requests that overlap get in strictly in the order they asked: a request waits for every holder and for every
/// earlier waiter it overlaps, so nobody starves. Requests that do not overlap never wait for each other.</para>
/// <para>All members may be called from any thread. Getting a free range allocates nothing and completes synchronously.
/// The lock is not reentrant: asking twice for the same byte in one flow waits forever.</para>
/// </remarks>
public sealed partial class RangeLock
{
    // A plain monitor-like lock, held for a scan of a few slots: a spinning lock would burn a whole time slice
    // whenever its holder is preempted, which on a host with two cores is often.
    private readonly Lock _gate = new();
    private readonly LinkedList<Waiter> _waiters = new();
    private Slot[] _slots;
    private int _used;
    private int _ticket;

    /// <summary>Creates the lock with room for sixteen holders; it grows when more come.</summary>
    public RangeLock()
    {
        _slots = new Slot[16];
        Array.Fill(_slots, Slot.Free);
    }

    /// <summary>Waits until the range is free of earlier holders and takes it.</summary>
    /// <param name="offset">First byte; not negative.</param>
    /// <param name="length">Bytes; not negative. An empty range is granted at once and holds nothing.</param>
    /// <param name="cancellationToken">Leaves the queue; has no effect once the range is held.</param>
    /// <returns>The holder; dispose it exactly once to let the next one in.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The range is negative or reaches past 2^63-1.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled while waiting.</exception>
    public ValueTask<Holder> AcquireAsync(long offset, long length, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, long.MaxValue - offset);
        if (length == 0)
            return default;
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled<Holder>(cancellationToken);

        Waiter waiter;
        lock (_gate)
        {
            if (TryAcquire(offset, length, out var holder))
                return new ValueTask<Holder>(holder);
            waiter = new Waiter(this, offset, offset + length);
            _waiters.AddLast(waiter.Node);
        }

        // Registered outside the gate: an already cancelled token calls back at once and wants the gate itself.
        waiter.CancelBy(cancellationToken);
        return new ValueTask<Holder>(waiter.Task);
    }

    /// <summary>Takes a range if nobody has any of it or waits for it.</summary>
    /// <param name="offset">First byte; not negative.</param>
    /// <param name="length">Bytes; above zero, and not past 2^63-1 with the offset.</param>
    /// <param name="holder">Dispose it exactly once, when this returned true.</param>
    public bool TryAcquire(long offset, long length, out Holder holder)
    {
        lock (_gate)
        {
            var isFree = !OverlapsHolder(offset, offset + length) && !OverlapsWaiter(offset, offset + length, before: null);
            holder = isFree ? Take(offset, offset + length) : default;
            return isFree;
        }
    }

    private void Release(int index, int ticket)
    {
        Waiter? granted;
        lock (_gate)
        {
            // A second Dispose of a copied holder must not free the range of whoever has the slot now.
            if (_slots[index].Ticket != ticket)
                return;
            _slots[index] = Slot.Free;
            while (_used > 0 && _slots[_used - 1].IsFree)
                _used--;
            granted = GrantWaiters();
        }

        Complete(granted);
    }

    private void Cancel(Waiter waiter, CancellationToken cancellationToken)
    {
        Waiter? granted;
        lock (_gate)
        {
            if (waiter.Node.List is null)
                return;
            _waiters.Remove(waiter.Node);
            granted = GrantWaiters();
        }

        waiter.TrySetCanceled(cancellationToken);
        Complete(granted);
    }

    /// <summary>Moves every waiter that may go now from the queue to the slots; returns them as a chain.</summary>
    private Waiter? GrantWaiters()
    {
        Waiter? first = null;
        Waiter? last = null;
        for (var node = _waiters.First; node is not null;)
        {
            var next = node.Next;
            var waiter = node.Value;
            if (!OverlapsHolder(waiter.Start, waiter.End) && !OverlapsWaiter(waiter.Start, waiter.End, node))
            {
                _waiters.Remove(node);
                waiter.Granted = Take(waiter.Start, waiter.End);
                if (last is null)
                    first = waiter;
                else
                    last.NextGranted = waiter;
                last = waiter;
            }

            node = next;
        }

        return first;
    }

    private static void Complete(Waiter? granted)
    {
        for (; granted is not null; granted = granted.NextGranted)
            granted.Complete();
    }

    private Holder Take(long start, long end)
    {
        var index = 0;
        while (index < _used && !_slots[index].IsFree)
            index++;
        if (index == _slots.Length)
            Grow();
        if (index == _used)
            _used++;
        var ticket = ++_ticket;
        _slots[index] = new Slot(start, end, ticket);
        return new Holder(this, index, ticket);
    }

    private void Grow()
    {
        var slots = new Slot[_slots.Length * 2];
        Array.Fill(slots, Slot.Free);
        _slots.CopyTo(slots, 0);
        _slots = slots;
    }

    private bool OverlapsHolder(long start, long end)
    {
        foreach (ref readonly var slot in _slots.AsSpan(0, _used))
        {
            if (slot.Start < end && start < slot.End)
                return true;
        }

        return false;
    }

    private bool OverlapsWaiter(long start, long end, LinkedListNode<Waiter>? before)
    {
        for (var node = _waiters.First; node != before; node = node!.Next)
        {
            if (node!.Value.Start < end && start < node.Value.End)
                return true;
        }

        return false;
    }

    /// <summary>A held range. Free slots have an empty range at the far end, so the overlap test needs no extra check.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Slot(long Start, long End, int Ticket)
    {
        public static Slot Free => new(long.MaxValue, long.MinValue, 0);

        public bool IsFree => End == long.MinValue;
    }
}
