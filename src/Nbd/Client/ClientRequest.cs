using System.Threading.Tasks.Sources;
using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Nbd.Client;

/// <summary>
/// A request on its way: a slot of the cookie table and, at the same time, the task its caller waits for. Used again and
/// again; fields change only under the table's lock.
/// </summary>
internal sealed class ClientRequest(int slot, uint generation) : IValueTaskSource
{
    private ManualResetValueTaskSourceCore<bool> _outcome = new() { RunContinuationsAsynchronously = true };
    private uint _generation = generation;

    /// <summary>Its place in the table.</summary>
    public int Slot { get; } = slot;

    /// <summary>The number on the wire: never the same twice, so a reply to an older request is noticed.</summary>
    public ulong Cookie => ((ulong)_generation << 32) | (uint)Slot;

    /// <summary>How often the slot has been used.</summary>
    public uint Generation => _generation;

    /// <summary>Sent or about to be, and not answered.</summary>
    public bool IsActive { get; private set; }

    /// <summary>The caller waits no more; the answer is read and dropped.</summary>
    public bool IsAbandoned { get; private set; }

    public RequestHeader Header { get; private set; }

    /// <summary>Where the data of a read goes.</summary>
    public Memory<byte> Buffer { get; private set; }

    /// <summary>Bytes of the read that have come.</summary>
    public int Received { get; set; }

    /// <summary>The reader is filling <see cref="Buffer"/> now: abandoning has to wait for it.</summary>
    public bool IsReceiving { get; set; }

    /// <summary>The caller is to leave, for this reason, as soon as the reader is out of its buffer.</summary>
    public Exception? LeaveReason { get; set; }

    /// <summary>The first error a chunk reported.</summary>
    public StorageException? Error { get; set; }

    /// <summary>First extent of a block status; null when none came.</summary>
    public Extent? Extent { get; set; }

    /// <summary>First run of one layer of a block status; null when none came.</summary>
    public (long Length, int Layer)? LayerRun { get; set; }

    /// <summary>First run of changes of a block status; null when none came.</summary>
    public ChangedRun? Changes { get; set; }

    /// <summary>The task of this use.</summary>
    public ValueTask Task => new(this, _outcome.Version);

    /// <summary>Starts a new use.</summary>
    public void Begin(NbdCommand command, NbdCommandFlags flags, long offset, long length, Memory<byte> buffer, bool extended)
    {
        _outcome.Reset();
        _generation++;
        Header = new RequestHeader(flags, command, Cookie, (ulong)offset, (ulong)length, extended);
        Buffer = buffer;
        Received = 0;
        Error = null;
        Extent = null;
        LayerRun = null;
        Changes = null;
        LeaveReason = null;
        IsReceiving = IsAbandoned = false;
        IsActive = true;
    }

    /// <summary>The slot is free again.</summary>
    public void End()
    {
        IsActive = false;
        Buffer = default;
    }

    /// <summary>Lets the caller go though the answer has not come.</summary>
    public void Abandon(Exception reason)
    {
        IsAbandoned = true;
        Buffer = default;
        _outcome.SetException(reason);
    }

    public void Succeed() => _outcome.SetResult(true);

    public void Fail(Exception reason) => _outcome.SetException(reason);

    void IValueTaskSource.GetResult(short token) => _outcome.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _outcome.GetStatus(token);

    void IValueTaskSource.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _outcome.OnCompleted(continuation, state, token, flags);
}
