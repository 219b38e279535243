using Godwit.Storage.Limits;
using Godwit.Storage.Mirror;

namespace Godwit.Storage.Decorators;

/// <summary>Holds requests back so that a disk is not used more than it may be, and watches whether it gets what it was promised. Without
/// either it costs one look at a flag.</summary>
/// <remarks>Flushes are never held back: they are what a guest waits for to be safe. Limits may be changed at any time from any thread and
/// hold at once, also for who is waiting.</remarks>
/// <param name="inner">The device behind; owned from now on.</param>
/// <param name="time">The clock.</param>
public sealed class ThrottledDisk(BlockDevice inner, TimeProvider time) : DelegatingBlockDevice(inner)
{
    private const int RequestLength = 8 << 10;
    private readonly BurstLimit _requests = new(time);
    private readonly BurstLimit _bytes = new(time);
    private readonly MinimumWatch _minimum = new(time);
    private volatile DiskLimits _limits = DiskLimits.None;

    /// <summary>The limits that hold.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One of them is zero or less; the others may hold already.</exception>
    public DiskLimits Limits
    {
        get => _limits;
        set
        {
            _requests.Set(value.RequestsPerSecond, value.BurstRequestsPerSecond, value.BurstSeconds);
            _bytes.Set(value.BytesPerSecond, value.BurstBytesPerSecond, value.BurstSeconds);
            _minimum.Set(value.MinimumRequestsPerSecond);
            _limits = value;
        }
    }

    /// <summary>Set while the disk wants what <see cref="DiskLimits.MinimumRequestsPerSecond"/> promises and does not get it.</summary>
    public Shortfall? Shortfall => _minimum.Shortfall;

    private bool IsFree => _limits is { RequestsPerSecond: null, BytesPerSecond: null, MinimumRequestsPerSecond: null };

    /// <inheritdoc/>
    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) => IsFree
        ? Inner.ReadAsync(offset, buffer, cancellationToken)
        : HoldAsync(DiskRequest.Read(offset, buffer), buffer.Length, cancellationToken);

    /// <inheritdoc/>
    protected override int TryMoveToPipeCore(long offset, int length, int pipe) => IsFree ? Inner.TryMoveToPipe(offset, length, pipe) : 0;

    /// <inheritdoc/>
    protected override bool TryMoveFromPipeCore(long offset, int length, int pipe) => IsFree && Inner.TryMoveFromPipe(offset, length, pipe);

    /// <inheritdoc/>
    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) => IsFree
        ? Inner.WriteAsync(offset, buffer, flags, cancellationToken)
        : HoldAsync(DiskRequest.Write(offset, buffer, flags), buffer.Length, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) => IsFree
        ? Inner.TrimAsync(offset, length, cancellationToken)
        : HoldAsync(DiskRequest.Trim(offset, length), 0, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteZeroesCoreAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken) => IsFree
        ? Inner.WriteZeroesAsync(offset, length, flags, cancellationToken)
        : HoldAsync(DiskRequest.Zero(offset, length, flags), 0, cancellationToken);

    /// <param name="request">The request.</param>
    /// <param name="bytes">Bytes that move; what only changes the table counts as one request without any.</param>
    /// <param name="cancellationToken">Gives up waiting; nothing has been done then.</param>
    private async ValueTask HoldAsync(DiskRequest request, long bytes, CancellationToken cancellationToken)
    {
        var units = Math.Max(1, (bytes + RequestLength - 1) / RequestLength);
        var done = 0L;
        _minimum.Enter();
        try
        {
            var requests = _requests.TakeAsync(units, cancellationToken);
            await _bytes.TakeAsync(bytes, cancellationToken).ConfigureAwait(false);
            await requests.ConfigureAwait(false);
            await request.SendAsync(Inner, cancellationToken).ConfigureAwait(false);
            done = units;
        }
        finally
        {
            _minimum.Leave(done);
        }
    }
}
