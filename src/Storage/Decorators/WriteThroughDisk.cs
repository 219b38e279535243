namespace Godwit.Storage.Decorators;

/// <summary>Completes a change only when it survives a power cut: a disk without a volatile write cache.</summary>
/// <remarks>Changes that come together share a flush. Adds no state; safe from any thread as the inner device is.</remarks>
/// <param name="inner">The device behind; owned from now on.</param>
public sealed class WriteThroughDisk(BlockDevice inner) : DelegatingBlockDevice(inner)
{
    /// <inheritdoc/>
    protected override int TryMoveToPipeCore(long offset, int length, int pipe) => Inner.TryMoveToPipe(offset, length, pipe);

    /// <inheritdoc/>
    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) =>
        Inner.WriteAsync(offset, buffer, flags | WriteFlags.ForceUnitAccess, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteZeroesCoreAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken) =>
        Inner.WriteZeroesAsync(offset, length, flags | WriteFlags.ForceUnitAccess, cancellationToken);

    /// <inheritdoc/>
    protected override async ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        await Inner.TrimAsync(offset, length, cancellationToken).ConfigureAwait(false);
        await Inner.FlushAsync(cancellationToken).ConfigureAwait(false);
    }
}
