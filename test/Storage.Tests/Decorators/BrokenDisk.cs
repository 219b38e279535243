namespace Godwit.Storage.Tests.Decorators;

/// <summary>What is wrong with a <see cref="BrokenDisk"/>.</summary>
public enum Defect
{
    None = 0,
    ForgetsFlush,
    ForgetsForce,
    KeepsWritesInMemory,
    SpoilsTheNextSector,
    CallsDataAHole,
    TrimsTooMuch,
    ForgetsToZero,
    ReordersNeighbours,
    Allocates,
    LeavesExtentGaps,
}

/// <summary>A device with one defect: each suite must find the ones it is there for.</summary>
internal sealed class BrokenDisk(BlockDevice inner, Defect defect) : DelegatingBlockDevice(inner)
{
    private readonly List<(long Offset, byte[] Bytes)> _kept = [];

    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (defect == Defect.Allocates)
            GC.KeepAlive(new object());
        return base.ReadCoreAsync(offset, buffer, cancellationToken);
    }

    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) =>
        defect is Defect.None or Defect.Allocates
            ? base.WriteCoreAsync(offset, buffer, flags, cancellationToken)
            : WriteBadlyAsync(offset, buffer, flags, cancellationToken);

    protected override async ValueTask FlushCoreAsync(CancellationToken cancellationToken)
    {
        foreach (var (offset, bytes) in _kept)
            await base.WriteCoreAsync(offset, bytes, WriteFlags.None, cancellationToken);
        _kept.Clear();
        if (defect != Defect.ForgetsFlush)
            await base.FlushCoreAsync(cancellationToken);
    }

    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        if (defect == Defect.TrimsTooMuch)
            length = Math.Min(Length - offset, length + 512);
        return base.TrimCoreAsync(offset, length, cancellationToken);
    }

    protected override ValueTask WriteZeroesCoreAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken) =>
        defect == Defect.ForgetsToZero ? ValueTask.CompletedTask : base.WriteZeroesCoreAsync(offset, length, flags, cancellationToken);

    protected override async ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        var extent = await base.GetExtentCoreAsync(offset, length, cancellationToken);
        return defect switch
        {
            Defect.CallsDataAHole => extent with { Kind = ExtentKind.Hole },
            Defect.LeavesExtentGaps => extent with { Offset = extent.Offset + 512 },
            _ => extent,
        };
    }

    private async ValueTask WriteBadlyAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        if (defect == Defect.ForgetsForce)
            flags &= ~WriteFlags.ForceUnitAccess;
        if (defect == Defect.KeepsWritesInMemory && flags == WriteFlags.None)
        {
            _kept.Add((offset, buffer.ToArray()));
            return;
        }

        if (defect == Defect.ReordersNeighbours)
        {
            // Reads a page, changes it, writes it back: without a lock two of these lose one of the changes.
            var start = offset / 4096 * 4096;
            var page = new byte[Math.Min(Length, (offset + buffer.Length + 4095) / 4096 * 4096) - start];
            await base.ReadCoreAsync(start, page, cancellationToken);
            await Task.Delay(1, cancellationToken);
            buffer.CopyTo(page.AsMemory((int)(offset - start)));
            await base.WriteCoreAsync(start, page, flags, cancellationToken);
            return;
        }

        await base.WriteCoreAsync(offset, buffer, flags, cancellationToken);
        var end = offset + buffer.Length;
        if (defect == Defect.SpoilsTheNextSector && end < Length)
            await base.WriteCoreAsync(end, new byte[512], flags, cancellationToken);
    }
}
