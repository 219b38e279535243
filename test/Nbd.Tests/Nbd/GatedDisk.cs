using Godwit.Storage;
using Godwit.Testing.Disks;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>Holds chosen requests back until told, and can fail them.</summary>
internal sealed class GatedDisk(long size) : DelegatingBlockDevice(new ReferenceDisk(size))
{
    private volatile TaskCompletionSource? _reads;
    private volatile TaskCompletionSource? _writes;
    private volatile TaskCompletionSource? _flushes;
    private volatile TaskCompletionSource? _extents;
    private int _waiting;

    /// <summary>Requests held back now.</summary>
    public int Waiting => Volatile.Read(ref _waiting);

    /// <summary>Only reads from here on are held back.</summary>
    public long ReadsFrom { get; set; }

    public TaskCompletionSource HoldReads() => _reads = NewGate();

    public TaskCompletionSource HoldWrites() => _writes = NewGate();

    public TaskCompletionSource HoldFlushes() => _flushes = NewGate();

    public TaskCompletionSource HoldExtents() => _extents = NewGate();

    public void Open() => _reads = _writes = _flushes = _extents = null;

    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        _reads is { } gate && offset >= ReadsFrom
            ? WaitAsync(gate, () => base.ReadCoreAsync(offset, buffer, cancellationToken), cancellationToken)
            : base.ReadCoreAsync(offset, buffer, cancellationToken);

    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) =>
        _writes is { } gate
            ? WaitAsync(gate, () => base.WriteCoreAsync(offset, buffer, flags, cancellationToken), cancellationToken)
            : base.WriteCoreAsync(offset, buffer, flags, cancellationToken);

    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) =>
        _flushes is { } gate
            ? WaitAsync(gate, () => base.FlushCoreAsync(cancellationToken), cancellationToken)
            : base.FlushCoreAsync(cancellationToken);

    protected override async ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        if (_extents is { } gate)
            await WaitAsync(gate, () => ValueTask.CompletedTask, cancellationToken);
        return await base.GetExtentCoreAsync(offset, length, cancellationToken);
    }

    private static TaskCompletionSource NewGate() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async ValueTask WaitAsync(TaskCompletionSource gate, Func<ValueTask> request, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _waiting);
        try
        {
            await gate.Task.WaitAsync(cancellationToken);
            await request();
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }
}
