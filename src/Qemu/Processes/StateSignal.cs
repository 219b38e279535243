namespace Godwit.Qemu.Processes;

/// <summary>A state that can be waited on. Level-triggered: a waiter compares with what it knew and can miss a state that
/// came and went, never the present one.</summary>
internal sealed class StateSignal(QemuState initial)
{
    private readonly Lock _lock = new();
    private QemuState _state = initial;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public QemuState Current
    {
        get
        {
            lock (_lock)
                return _state;
        }
    }

    /// <summary>Changes the state. <see cref="QemuRunState.Ended"/> is for ever.</summary>
    public void Set(QemuState state)
    {
        TaskCompletionSource changed;
        lock (_lock)
        {
            if (_state == state || _state.Run == QemuRunState.Ended)
                return;
            _state = state;
            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.TrySetResult();
    }

    /// <summary>Waits until the state is another than <paramref name="known"/>.</summary>
    public async Task<QemuState> WaitForChangeAsync(QemuState known, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                if (_state != known)
                    return _state;
                changed = _changed.Task;
            }

            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
