using Godwit.Storage;

namespace Godwit.Testing.Disks;

/// <summary>The plainest device there can be: an array. What every other device is compared with.</summary>
public sealed class ReferenceDisk(long size, DiskCapabilities? capabilities = null)
    : BlockDevice(size, capabilities ?? DiskCapabilities.Default with { CanResize = true })
{
    private readonly Lock _gate = new();
    private byte[] _bytes = new byte[size];

    public override string? Path => "reference";

    /// <summary>A copy of the whole content.</summary>
    public byte[] ToArray()
    {
        lock (_gate)
            return [.. _bytes];
    }

    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        lock (_gate)
            _bytes.AsSpan((int)offset, buffer.Length).CopyTo(buffer.Span);
        return ValueTask.CompletedTask;
    }

    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        lock (_gate)
            buffer.Span.CopyTo(_bytes.AsSpan((int)offset));
        return ValueTask.CompletedTask;
    }

    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        WriteZeroesCoreAsync(offset, length, WriteFlags.None, cancellationToken);

    protected override ValueTask WriteZeroesCoreAsync(
        long offset, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        lock (_gate)
            _bytes.AsSpan((int)offset, (int)length).Clear();
        return ValueTask.CompletedTask;
    }

    protected override ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            var range = _bytes.AsSpan((int)offset, (int)length);
            var data = range.IndexOfAnyExcept((byte)0);
            var zero = data < 0 ? range.Length : data / Capabilities.SectorSize * Capabilities.SectorSize;
            return new ValueTask<Extent>(
                zero > 0 ? new Extent(offset, zero, ExtentKind.Zero) : new Extent(offset, Capabilities.SectorSize, ExtentKind.Data));
        }
    }

    protected override ValueTask ResizeCoreAsync(long length, CancellationToken cancellationToken)
    {
        lock (_gate)
            Array.Resize(ref _bytes, (int)length);
        return ValueTask.CompletedTask;
    }
}
