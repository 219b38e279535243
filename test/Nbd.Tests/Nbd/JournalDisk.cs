using Godwit.Storage;
using Godwit.Testing.Disks;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>Remembers every change that reached it.</summary>
internal sealed class JournalDisk(long size) : DelegatingBlockDevice(new ReferenceDisk(size))
{
    private readonly List<Change> _changes = [];

    internal sealed record Change(string Kind, long Offset, long Length, byte[] Bytes);

    public IReadOnlyList<Change> TakeChanges()
    {
        lock (_changes)
        {
            Change[] taken = [.. _changes];
            _changes.Clear();
            return taken;
        }
    }

    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        Add(new Change("write", offset, buffer.Length, buffer.ToArray()));
        return base.WriteCoreAsync(offset, buffer, flags, cancellationToken);
    }

    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        Add(new Change("trim", offset, length, []));
        return base.TrimCoreAsync(offset, length, cancellationToken);
    }

    protected override ValueTask WriteZeroesCoreAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        Add(new Change("zeroes", offset, length, []));
        return base.WriteZeroesCoreAsync(offset, length, flags, cancellationToken);
    }

    private void Add(Change change)
    {
        lock (_changes)
            _changes.Add(change);
    }
}
