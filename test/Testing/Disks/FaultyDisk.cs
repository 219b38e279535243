using Godwit.Storage;
using Godwit.Testing.Files;

namespace Godwit.Testing.Disks;

/// <summary>A device that fails, delays or holds requests by the rules a <see cref="FaultyFile"/> knows. Trim counts as
/// <see cref="FileOperation.PunchHole"/>, zeroing as <see cref="FileOperation.AllocateZeroes"/>.</summary>
/// <param name="inner">The device behind; owned from now on.</param>
/// <param name="time">The clock of delays.</param>
public sealed class FaultyDisk(BlockDevice inner, TimeProvider? time = null) : DelegatingBlockDevice(inner)
{
    /// <summary>The rules; may be changed at any time.</summary>
    public FaultRules Rules { get; } = new(time);

    protected override async ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await Rules.ObeyAsync(FileOperation.Read, Path, offset, buffer.Length, cancellationToken);
        await base.ReadCoreAsync(offset, buffer, cancellationToken);
    }

    protected override async ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        if (await Rules.ObeyAsync(FileOperation.Write, Path, offset, buffer.Length, cancellationToken) is { KeepBytes: > 0 } torn)
        {
            await base.WriteCoreAsync(offset, buffer[..Math.Min(torn.KeepBytes, buffer.Length)], flags, cancellationToken);
            throw torn.ToException(Path, offset);
        }

        await base.WriteCoreAsync(offset, buffer, flags, cancellationToken);
    }

    protected override async ValueTask FlushCoreAsync(CancellationToken cancellationToken)
    {
        if (await Rules.ObeyAsync(FileOperation.Flush, Path, 0, 0, cancellationToken) is not { Drops: true })
            await base.FlushCoreAsync(cancellationToken);
    }

    protected override async ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        await Rules.ObeyAsync(FileOperation.PunchHole, Path, offset, length, cancellationToken);
        await base.TrimCoreAsync(offset, length, cancellationToken);
    }

    protected override async ValueTask WriteZeroesCoreAsync(
        long offset, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        await Rules.ObeyAsync(FileOperation.AllocateZeroes, Path, offset, length, cancellationToken);
        await base.WriteZeroesCoreAsync(offset, length, flags, cancellationToken);
    }

    protected override async ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        await Rules.ObeyAsync(FileOperation.GetExtent, Path, offset, length, cancellationToken);
        return await base.GetExtentCoreAsync(offset, length, cancellationToken);
    }
}
