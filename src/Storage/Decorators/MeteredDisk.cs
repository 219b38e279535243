using System.Diagnostics;
using System.Runtime.CompilerServices;
using Godwit.Storage.Metrics;
using Godwit.Storage.Mirror;

namespace Godwit.Storage.Decorators;

/// <summary>Counts and times every request. What the page cache answers costs two looks at the clock and a few additions more.</summary>
/// <param name="inner">The device behind; owned from now on.</param>
/// <param name="counters">Where requests are counted.</param>
public sealed class MeteredDisk(BlockDevice inner, DiskCounters counters) : DelegatingBlockDevice(inner)
{
    /// <inheritdoc/>
    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Read(offset, buffer), DiskOperation.Read, cancellationToken);

    /// <inheritdoc/>
    protected override int TryMoveToPipeCore(long offset, int length, int pipe)
    {
        var started = Stopwatch.GetTimestamp();
        var moved = Inner.TryMoveToPipe(offset, length, pipe);

        // Otherwise it is read next, and counted there.
        if (moved == length)
            counters.Add(DiskOperation.Read, length, started, failed: false);
        return moved;
    }

    /// <inheritdoc/>
    protected override bool TryMoveFromPipeCore(long offset, int length, int pipe)
    {
        var started = Stopwatch.GetTimestamp();
        bool moved;
        try
        {
            moved = Inner.TryMoveFromPipe(offset, length, pipe);
        }
        catch
        {
            counters.Add(DiskOperation.Write, length, started, failed: true);
            throw;
        }

        // Otherwise it is written next, and counted there.
        if (moved)
            counters.Add(DiskOperation.Write, length, started, failed: false);
        return moved;
    }

    /// <inheritdoc/>
    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Write(offset, buffer, flags), DiskOperation.Write, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Flush, DiskOperation.Flush, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Trim(offset, length), DiskOperation.Discard, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteZeroesCoreAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Zero(offset, length, flags), DiskOperation.Discard, cancellationToken);

    private ValueTask PassAsync(in DiskRequest request, DiskOperation operation, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var failed = true;
        try
        {
            var sent = request.SendAsync(Inner, cancellationToken);
            failed = false;
            if (!sent.IsCompletedSuccessfully)
                return CountLaterAsync(sent, operation, request.Length, started);
            sent.GetAwaiter().GetResult();
        }
        finally
        {
            if (failed)
                counters.Add(operation, request.Length, started, failed);
        }

        counters.Add(operation, request.Length, started, failed: false);
        return ValueTask.CompletedTask;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask CountLaterAsync(ValueTask request, DiskOperation operation, long bytes, long started)
    {
        var failed = true;
        try
        {
            await request.ConfigureAwait(false);
            failed = false;
        }
        finally
        {
            counters.Add(operation, bytes, started, failed);
        }
    }
}
