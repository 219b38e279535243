using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace Godwit.Storage.Locking;

public sealed partial class RangeLock
{
    /// <summary>A range that is held. Disposing it lets the next request in; a second time has no effect.</summary>
    [StructLayout(LayoutKind.Auto)]
    [SuppressMessage("Design", "CA1034", Justification = "Has no meaning apart from its lock.")]
    [SuppressMessage("Performance", "CA1815", Justification = "Two holders are never compared.")]
    public readonly struct Holder : IDisposable
    {
        private readonly RangeLock? _owner;
        private readonly int _index;
        private readonly int _ticket;

        internal Holder(RangeLock owner, int index, int ticket)
        {
            _owner = owner;
            _index = index;
            _ticket = ticket;
        }

        /// <summary>Gives the range back.</summary>
        public void Dispose() => _owner?.Release(_index, _ticket);
    }

    /// <summary>A request in the queue. Its continuation runs on the thread pool, never inside the releasing call.</summary>
    private sealed class Waiter : TaskCompletionSource<Holder>
    {
        private readonly RangeLock _owner;
        private CancellationTokenRegistration _registration;

        public Waiter(RangeLock owner, long start, long end)
            : base(TaskCreationOptions.RunContinuationsAsynchronously)
        {
            _owner = owner;
            Start = start;
            End = end;
            Node = new LinkedListNode<Waiter>(this);
        }

        public long Start { get; }

        public long End { get; }

        public LinkedListNode<Waiter> Node { get; }

        public Holder Granted { get; set; }

        public Waiter? NextGranted { get; set; }

        public void CancelBy(CancellationToken cancellationToken)
        {
            if (!cancellationToken.CanBeCanceled)
                return;
            _registration = cancellationToken.UnsafeRegister(
                static (state, token) => ((Waiter)state!)._owner.Cancel((Waiter)state, token), this);

            // Granted before the registration was stored: Complete may have missed it, so one of the two removes it.
            Interlocked.MemoryBarrier();
            if (Task.IsCompleted)
                _registration.Unregister();
        }

        public void Complete()
        {
            SetResult(Granted);

            // Unregister does not wait for a callback that runs right now: it wants the gate and finds nothing to do.
            Interlocked.MemoryBarrier();
            _registration.Unregister();
        }
    }
}
