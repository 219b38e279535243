using Godwit.Storage;

namespace Godwit.Testing.Disks;

/// <summary>A slow device: every request waits first, on the given clock.</summary>
/// <param name="inner">The device behind; owned from now on.</param>
/// <param name="time">The clock; a fake one makes the wait end when the test says so.</param>
public sealed class DelayedDisk(BlockDevice inner, TimeProvider time) : DelegatingBlockDevice(inner)
{
    private long _readTicks;
    private long _writeTicks;
    private long _flushTicks;

    /// <summary>How long a read or a question for an extent waits.</summary>
    public TimeSpan ReadDelay
    {
        get => new(Volatile.Read(ref _readTicks));
        set => Volatile.Write(ref _readTicks, value.Ticks);
    }

    /// <summary>How long a write, a trim or a zeroing waits.</summary>
    public TimeSpan WriteDelay
    {
        get => new(Volatile.Read(ref _writeTicks));
        set => Volatile.Write(ref _writeTicks, value.Ticks);
    }

    /// <summary>How long a flush waits.</summary>
    public TimeSpan FlushDelay
    {
        get => new(Volatile.Read(ref _flushTicks));
        set => Volatile.Write(ref _flushTicks, value.Ticks);
    }

    protected override async ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await WaitAsync(ReadDelay, cancellationToken);
        await base.ReadCoreAsync(offset, buffer, cancellationToken);
    }

    protected override async ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        await WaitAsync(WriteDelay, cancellationToken);
        await base.WriteCoreAsync(offset, buffer, flags, cancellationToken);
    }

    protected override async ValueTask FlushCoreAsync(CancellationToken cancellationToken)
    {
        await WaitAsync(FlushDelay, cancellationToken);
        await base.FlushCoreAsync(cancellationToken);
    }

    protected override async ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        await WaitAsync(WriteDelay, cancellationToken);
        await base.TrimCoreAsync(offset, length, cancellationToken);
    }

    protected override async ValueTask WriteZeroesCoreAsync(
        long offset, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        await WaitAsync(WriteDelay, cancellationToken);
        await base.WriteZeroesCoreAsync(offset, length, flags, cancellationToken);
    }

    protected override async ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        await WaitAsync(ReadDelay, cancellationToken);
        return await base.GetExtentCoreAsync(offset, length, cancellationToken);
    }

    private Task WaitAsync(TimeSpan delay, CancellationToken cancellationToken) =>
        delay > TimeSpan.Zero ? Task.Delay(delay, time, cancellationToken) : Task.CompletedTask;
}
