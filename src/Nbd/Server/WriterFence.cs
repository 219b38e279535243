namespace Godwit.Nbd.Server;

/// <summary>What becomes of a client that wants to take over from an earlier one.</summary>
internal enum Supersession
{
    /// <summary>No request of an earlier writer is left, and none can come.</summary>
    Done = 0,

    /// <summary>A later writer has been here.</summary>
    Stale = 1,

    /// <summary>The device still works on requests of an earlier writer.</summary>
    Busy = 2,
}

/// <summary>
/// Orders the connections of one writer that lost its link and came again: before the new ones are let in, the old ones are cut and what
/// they had asked for has ended. Else a write that was still on its way could land on top of a later one.
/// </summary>
/// <remarks>Thread-safe; connections without an epoch are none of its business.</remarks>
internal sealed class WriterFence
{
    private readonly Lock _lock = new();
    private readonly List<(long Epoch, Connection Connection)> _inside = [];
    private TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _epoch;

    /// <summary>Cuts every writer before <paramref name="epoch"/> and waits until nothing of them is left.</summary>
    /// <param name="epoch">Above zero; of the writer that asks.</param>
    /// <param name="limit">How long to wait.</param>
    public Supersession Supersede(long epoch, TimeSpan limit)
    {
        lock (_lock)
        {
            if (epoch < _epoch)
                return Supersession.Stale;
            _epoch = epoch;
            foreach (var writer in _inside)
            {
                if (writer.Epoch < epoch)
                    writer.Connection.Cut();
            }
        }

        return WaitForEarlier(epoch, limit) ? Supersession.Done : Supersession.Busy;
    }

    /// <summary>A connection begins to serve requests.</summary>
    /// <returns>False: a later writer has been here since it said who it is.</returns>
    public bool TryEnter(Connection connection, long epoch)
    {
        lock (_lock)
        {
            if (epoch < _epoch)
                return false;
            _inside.Add((epoch, connection));
            return true;
        }
    }

    /// <summary>Nothing of a connection is left.</summary>
    public void Leave(Connection connection)
    {
        lock (_lock)
        {
            _inside.RemoveAll(writer => ReferenceEquals(writer.Connection, connection));
            _left.TrySetResult();
            _left = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    private bool WaitForEarlier(long epoch, TimeSpan limit)
    {
        var begun = Environment.TickCount64;
        while (true)
        {
            Task left;
            lock (_lock)
            {
                if (!_inside.Exists(writer => writer.Epoch < epoch))
                    return true;
                left = _left.Task;
            }

            var rest = limit - TimeSpan.FromMilliseconds(Environment.TickCount64 - begun);
            if (rest <= TimeSpan.Zero || !left.Wait(rest))
                return false;
        }
    }
}
