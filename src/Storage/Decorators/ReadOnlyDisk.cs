namespace Godwit.Storage.Decorators;

/// <summary>Shows a device for reading only: every change is refused with <see cref="StorageErrorKind.ReadOnly"/>.</summary>
/// <param name="inner">The device behind; owned from now on.</param>
public sealed class ReadOnlyDisk(BlockDevice inner)
    : DelegatingBlockDevice(inner, inner.Capabilities with { ReadOnly = true, CanResize = false })
{
    /// <inheritdoc/>
    protected override int TryMoveToPipeCore(long offset, int length, int pipe) => Inner.TryMoveToPipe(offset, length, pipe);
}
