namespace Godwit.Storage;

/// <summary>Forwards everything to another device; a decorator overrides the one member it changes.</summary>
/// <remarks>Owns the inner device: disposing this one disposes it.</remarks>
public abstract class DelegatingBlockDevice : BlockDevice
{
    /// <summary>Creates the decorator with the inner device's own capabilities.</summary>
    /// <param name="inner">The device behind; owned from now on.</param>
    protected DelegatingBlockDevice(BlockDevice inner)
        : this(inner, inner.Capabilities)
    {
    }

    /// <summary>Creates the decorator with other capabilities than the inner device's.</summary>
    /// <param name="inner">The device behind; owned from now on.</param>
    /// <param name="capabilities">What the decorated device offers.</param>
    protected DelegatingBlockDevice(BlockDevice inner, DiskCapabilities capabilities)
        : base(inner.Length, capabilities) => Inner = inner;

    /// <inheritdoc/>
    public override string? Path => Inner.Path;

    /// <summary>The device behind.</summary>
    protected BlockDevice Inner { get; }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await Inner.DisposeAsync().ConfigureAwait(false);
        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        Inner.ReadAsync(offset, buffer, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) =>
        Inner.WriteAsync(offset, buffer, flags, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) => Inner.FlushAsync(cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        Inner.TrimAsync(offset, length, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteZeroesCoreAsync(
        long offset, long length, WriteFlags flags, CancellationToken cancellationToken) =>
        Inner.WriteZeroesAsync(offset, length, flags, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        Inner.GetExtentAsync(offset, length, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask ResizeCoreAsync(long length, CancellationToken cancellationToken) =>
        Inner.ResizeAsync(length, cancellationToken);
}
