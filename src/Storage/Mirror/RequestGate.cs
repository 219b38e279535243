using System.Runtime.CompilerServices;

namespace Godwit.Storage.Mirror;

/// <summary>
/// Lets requests through until it is closed; closing waits for those inside. Who comes while it is closed waits and goes on
/// in order of arrival.
/// </summary>
/// <param name="release">Lets a waiter go on; by default through the thread pool's queue, first in first out.</param>
/// <remarks>Entering and leaving cost one interlocked operation each and allocate nothing. The count of requests inside and
/// the closed flag share one word, so that "closed and empty" is seen by exactly the last one out.</remarks>
internal sealed class RequestGate(Action<IThreadPoolWorkItem>? release = null)
{
    private const long Closed = 1L << 62;

    private readonly Action<IThreadPoolWorkItem> _release =
        release ?? (static waiter => ThreadPool.UnsafeQueueUserWorkItem(waiter, preferLocal: false));
    private readonly Lock _sync = new();
    private readonly Queue<Waiter> _waiters = new();
    private TaskCompletionSource _empty = new();
    private long _state;

    /// <summary>Goes in unless the gate is closed. When false the caller must go on to <see cref="WaitAsync"/>.</summary>
    public bool TryEnter() => (Interlocked.Increment(ref _state) & Closed) == 0;

    /// <summary>Goes in unless the gate is closed; asks for nothing more when refused.</summary>
    public bool TryEnterNow()
    {
        if (TryEnter())
            return true;
        Exit();
        return false;
    }

    /// <summary>Follows a refused <see cref="TryEnter"/>: returns when the request is inside.</summary>
    /// <exception cref="OperationCanceledException">Cancelled; the request is not inside.</exception>
    public Task WaitAsync(CancellationToken cancellationToken)
    {
        Waiter waiter;
        lock (_sync)
        {
            // Opened in the meantime: the increment of TryEnter stands.
            if ((Volatile.Read(ref _state) & Closed) == 0)
                return Task.CompletedTask;
            if (Interlocked.Decrement(ref _state) == Closed)
                _empty.TrySetResult();
            waiter = new Waiter(this);
            _waiters.Enqueue(waiter);
        }

        return waiter.StartAsync(cancellationToken);
    }

    /// <summary>Leaves when a request that was sent inside has ended; without an asynchronous method for one that has already.</summary>
    /// <param name="sent">The request.</param>
    public ValueTask ExitAfterAsync(ValueTask sent)
    {
        if (!sent.IsCompletedSuccessfully)
            return WaitAndExitAsync(sent);
        sent.GetAwaiter().GetResult();
        Exit();
        return ValueTask.CompletedTask;
    }

    /// <summary>Leaves.</summary>
    public void Exit()
    {
        if (Interlocked.Decrement(ref _state) != Closed)
            return;
        lock (_sync)
        {
            // The gate may have been opened, or opened and closed again, since the decrement.
            if (Volatile.Read(ref _state) == Closed)
                _empty.TrySetResult();
        }
    }

    /// <summary>Closes the gate and waits until nobody is inside. One at a time; must be followed by <see cref="Open"/>,
    /// also when it was cancelled.</summary>
    public Task CloseAsync(CancellationToken cancellationToken)
    {
        lock (_sync)
        {
            _empty = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (Interlocked.Or(ref _state, Closed) == 0)
                _empty.TrySetResult();
            return _empty.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Opens the gate and lets in who waits.</summary>
    public void Open()
    {
        lock (_sync)
        {
            // Counted in before the flag goes, so that a second Close cannot find the gate empty.
            Interlocked.Add(ref _state, _waiters.Count);
            Interlocked.And(ref _state, ~Closed);
            while (_waiters.TryDequeue(out var waiter))
                _release(waiter);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WaitAndExitAsync(ValueTask sent)
    {
        try
        {
            await sent.ConfigureAwait(false);
        }
        finally
        {
            Exit();
        }
    }

    /// <summary>Continues on the thread pool's global queue, which is first in first out: one request that then blocks its
    /// thread holds up neither the others nor the caller of <see cref="Open"/>.</summary>
    private sealed class Waiter(RequestGate gate) : TaskCompletionSource, IThreadPoolWorkItem
    {
        private CancellationTokenRegistration _registration;

        public Task StartAsync(CancellationToken cancellationToken)
        {
            if (cancellationToken.CanBeCanceled)
            {
                _registration = cancellationToken.UnsafeRegister(
                    static (state, token) => ((Waiter)state!).TrySetCanceled(token), this);
            }

            return Task;
        }

        public void Execute()
        {
            _registration.Unregister();
            if (!TrySetResult())
                gate.Exit();
        }
    }
}
