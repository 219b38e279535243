using System.Runtime.CompilerServices;
using Godwit.Nbd.Interop;
using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>What a pending request still has to answer.</summary>
internal enum PendingKind
{
    /// <summary>A plain success or error.</summary>
    Plain = 0,

    /// <summary>One chunk of a read, standing in the lent memory.</summary>
    ReadChunk = 1,

    /// <summary>The reply to a block status, standing in the lent memory.</summary>
    Status = 2,
}

/// <summary>
/// A request the device could not complete at once. Used again and again; everything but <see cref="OnDeviceDone"/>
/// belongs to the connection's thread.
/// </summary>
internal sealed class PendingRequest
{
    private readonly PendingRequests _owner;
    private readonly Action _onDeviceDone;
    private ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _plain;
    private ConfiguredValueTaskAwaitable<int>.ConfiguredValueTaskAwaiter _counted;

    public PendingRequest(PendingRequests owner)
    {
        _owner = owner;
        _onDeviceDone = OnDeviceDone;
    }

    public PendingKind Kind { get; set; }

    public ReplyTag Tag { get; set; }

    /// <summary>Memory the device works in; null when there is none.</summary>
    public PinnedBuffer? Lent { get; set; }

    /// <summary>Bytes of it that are the request's.</summary>
    public int LentBytes { get; set; }

    /// <summary>Where the reply starts in <see cref="Lent"/>.</summary>
    public int Start { get; set; }

    /// <summary>Bytes of data in the chunk.</summary>
    public int Count { get; set; }

    /// <summary>Device offset of the chunk.</summary>
    public ulong Offset { get; set; }

    /// <summary>The read the chunk is part of.</summary>
    public PendingRead? Read { get; set; }

    /// <summary>Next in the list of completed requests; also used by the list of spare ones.</summary>
    public PendingRequest? Next { get; set; }

    /// <summary>Starts waiting. The completion may run at once, on this thread.</summary>
    public void Watch(ValueTask task)
    {
        _plain = task.ConfigureAwait(false).GetAwaiter();
        _plain.UnsafeOnCompleted(_onDeviceDone);
    }

    /// <summary>Starts waiting for a task that counts.</summary>
    public void Watch(ValueTask<int> task)
    {
        _counted = task.ConfigureAwait(false).GetAwaiter();
        _counted.UnsafeOnCompleted(_onDeviceDone);
    }

    /// <summary>Collects the outcome; throws what the device threw.</summary>
    /// <returns>The count, for a task that counts.</returns>
    public int GetResult()
    {
        if (Kind == PendingKind.Status)
            return _counted.GetResult();
        _plain.GetResult();
        return 0;
    }

    private void OnDeviceDone() => _owner.Completed(this);
}

/// <summary>A read of several chunks of which at least one is pending: whoever finishes last ends the reply.</summary>
internal sealed class PendingRead
{
    /// <summary>Chunks still pending.</summary>
    public int Remaining { get; set; }
}
