using Godwit.Storage;
using Godwit.Storage.Files;

namespace Godwit.Testing.Files;

/// <summary>Forwards to another file and, by rule, fails, delays, holds, tears or drops what it is asked.</summary>
/// <param name="inner">The file behind; owned from now on.</param>
/// <param name="time">The clock of delays.</param>
public sealed class FaultyFile(IStorageFile inner, TimeProvider? time = null) : IStorageFile
{
    public string Path => inner.Path;

    public long Length => inner.Length;

    public bool IsReadOnly => inner.IsReadOnly;

    /// <summary>All the rules; the members below are the common ones.</summary>
    public FaultRules Rules { get; } = new(time);

    /// <inheritdoc cref="FaultRules.Count"/>
    public int Count(FileOperation operation) => Rules.Count(operation);

    /// <inheritdoc cref="FaultRules.Add"/>
    public FaultRule Add(FaultRule rule) => Rules.Add(rule);

    /// <inheritdoc cref="FaultRules.Fail"/>
    public FaultRule Fail(FileOperation operation, StorageErrorKind kind = StorageErrorKind.IoFailed, int nth = 1, int times = 1) =>
        Rules.Fail(operation, kind, nth, times);

    /// <inheritdoc cref="FaultRules.FailAlways"/>
    public FaultRule FailAlways(FileOperation operation, StorageErrorKind kind = StorageErrorKind.IoFailed) =>
        Rules.FailAlways(operation, kind);

    /// <inheritdoc cref="FaultRules.Hold"/>
    public FaultRule Hold(FileOperation operation, int nth = 1) => Rules.Hold(operation, nth);

    /// <inheritdoc cref="FaultRules.Delay"/>
    public FaultRule Delay(FileOperation operation, TimeSpan delay, int times = int.MaxValue) => Rules.Delay(operation, delay, times);

    /// <inheritdoc cref="FaultRules.TearWrite"/>
    public FaultRule TearWrite(int keep, int nth = 1) => Rules.TearWrite(keep, nth);

    /// <inheritdoc cref="FaultRules.DropFlush"/>
    public FaultRule DropFlush(int nth = 1) => Rules.DropFlush(nth);

    /// <inheritdoc cref="FaultRules.LimitSpace"/>
    public void LimitSpace(long bytes) => Rules.LimitSpace(bytes);

    /// <inheritdoc cref="FaultRules.Heal"/>
    public void Heal() => Rules.Heal();

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await Rules.ObeyAsync(FileOperation.Read, Path, offset, buffer.Length, cancellationToken);
        await inner.ReadAsync(offset, buffer, cancellationToken);
    }

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        if (await Rules.ObeyAsync(FileOperation.Write, Path, offset, buffer.Length, cancellationToken) is { KeepBytes: > 0 } torn)
        {
            await inner.WriteAsync(offset, buffer[..Math.Min(torn.KeepBytes, buffer.Length)], cancellationToken);
            throw torn.ToException(Path, offset);
        }

        await inner.WriteAsync(offset, buffer, cancellationToken);
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        var rule = await Rules.ObeyAsync(FileOperation.Flush, Path, 0, 0, cancellationToken);
        if (rule is not { Drops: true })
            await inner.FlushAsync(cancellationToken);
        if (rule is { HoldsAnswer: true })
            await rule.HoldAsync(cancellationToken);
    }

    public async ValueTask SetLengthAsync(long length, CancellationToken cancellationToken)
    {
        await Rules.ObeyAsync(FileOperation.SetLength, Path, length, 0, cancellationToken);
        await inner.SetLengthAsync(length, cancellationToken);
    }

    public async ValueTask PunchHoleAsync(long offset, long length, CancellationToken cancellationToken)
    {
        await Rules.ObeyAsync(FileOperation.PunchHole, Path, offset, length, cancellationToken);
        await inner.PunchHoleAsync(offset, length, cancellationToken);
    }

    public async ValueTask AllocateZeroesAsync(long offset, long length, CancellationToken cancellationToken)
    {
        await Rules.ObeyAsync(FileOperation.AllocateZeroes, Path, offset, length, cancellationToken);
        await inner.AllocateZeroesAsync(offset, length, cancellationToken);
    }

    public async ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken)
    {
        await Rules.ObeyAsync(FileOperation.GetExtent, Path, offset, length, cancellationToken);
        return await inner.GetExtentAsync(offset, length, cancellationToken);
    }

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
