using Godwit.Storage;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>A petabyte that holds nothing, and remembers what was asked of it: for lengths no memory could stand for.</summary>
internal sealed class VastDisk() : BlockDevice(Size, DiskCapabilities.Default)
{
    public const long Size = 1L << 50;

    private readonly List<(string Kind, long Offset, long Length)> _asked = [];

    public IReadOnlyList<(string Kind, long Offset, long Length)> TakeAsked()
    {
        lock (_asked)
        {
            (string, long, long)[] taken = [.. _asked];
            _asked.Clear();
            return taken;
        }
    }

    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        buffer.Span.Clear();
        return Note("read", offset, buffer.Length);
    }

    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) => Note("write", offset, buffer.Length);

    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) => Note("trim", offset, length);

    protected override ValueTask WriteZeroesCoreAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken) =>
        Note("zeroes", offset, length);

    /// <summary>A hole up to the middle of the disk, data behind; the parent answers for the hole.</summary>
    protected override ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        ValueTask.FromResult(offset < Size / 2
            ? new Extent(offset, Math.Min(length, (Size / 2) - offset), ExtentKind.Hole, Layer: 3)
            : new Extent(offset, length, ExtentKind.Data));

    private ValueTask Note(string kind, long offset, long length)
    {
        lock (_asked)
            _asked.Add((kind, offset, length));
        return ValueTask.CompletedTask;
    }
}
