using Godwit.Storage;
using Godwit.Storage.Files;

namespace Godwit.Testing.Files;

/// <summary>Forwards to another file and, by rule, fails, delays, holds, tears or drops what it is asked.</summary>
/// <remarks>Rules are tried in the order they were added; each request uses up the first that matches. Safe from any
/// thread. Owns the inner file.</remarks>
public sealed class FaultyFile(IStorageFile inner, TimeProvider? time = null) : IStorageFile
{
    private readonly Lock _gate = new();
    private readonly List<FaultRule> _rules = [];
    private readonly int[] _counts = new int[Enum.GetValues<FileOperation>().Length];
    private long _budget = long.MaxValue;

    public string Path => inner.Path;

    public long Length => inner.Length;

    public bool IsReadOnly => inner.IsReadOnly;

    /// <summary>How often an operation was asked for, the failed ones included.</summary>
    public int Count(FileOperation operation)
    {
        lock (_gate)
            return _counts[(int)operation];
    }

    /// <summary>Adds a rule.</summary>
    public FaultRule Add(FaultRule rule)
    {
        lock (_gate)
            _rules.Add(rule);
        return rule;
    }

    /// <summary>Fails the next matching operation, or the n-th from now.</summary>
    public FaultRule Fail(FileOperation operation, StorageErrorKind kind = StorageErrorKind.IoFailed, int nth = 1, int times = 1) =>
        Add(new FaultRule(operation) { Error = kind, Nth = nth, Times = times });

    /// <summary>Fails every matching operation from now on.</summary>
    public FaultRule FailAlways(FileOperation operation, StorageErrorKind kind = StorageErrorKind.IoFailed) =>
        Fail(operation, kind, times: int.MaxValue);

    /// <summary>Holds the next matching operation until <see cref="FaultRule.Release"/>; <see cref="FaultRule.Reached"/> tells when.</summary>
    public FaultRule Hold(FileOperation operation, int nth = 1) => Add(new FaultRule(operation) { Holds = true, Nth = nth });

    /// <summary>Delays matching operations, on the given clock.</summary>
    public FaultRule Delay(FileOperation operation, TimeSpan delay, int times = int.MaxValue) =>
        Add(new FaultRule(operation) { DelayBy = delay, Times = times });

    /// <summary>Writes only the first bytes of the next write and fails it.</summary>
    public FaultRule TearWrite(int keep, int nth = 1) =>
        Add(new FaultRule(FileOperation.Write) { Error = StorageErrorKind.IoFailed, KeepBytes = keep, Nth = nth });

    /// <summary>Acknowledges the next flush without doing it.</summary>
    public FaultRule DropFlush(int nth = 1) => Add(new FaultRule(FileOperation.Flush) { Drops = true, Nth = nth });

    /// <summary>Forgets all rules and the space budget.</summary>
    public void Heal()
    {
        lock (_gate)
        {
            _rules.Clear();
            _budget = long.MaxValue;
        }
    }

    /// <summary>After this many more bytes written or allocated everything that needs space fails with NoSpace.</summary>
    public void LimitSpace(long bytes)
    {
        lock (_gate)
            _budget = bytes;
    }

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (Match(FileOperation.Read, offset, buffer.Length) is FaultRule rule)
            await ObeyAsync(rule, "read", offset, cancellationToken);
        await inner.ReadAsync(offset, buffer, cancellationToken);
    }

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        if (Match(FileOperation.Write, offset, buffer.Length) is FaultRule rule)
        {
            if (rule.KeepBytes > 0)
                await inner.WriteAsync(offset, buffer[..Math.Min(rule.KeepBytes, buffer.Length)], cancellationToken);
            await ObeyAsync(rule, "write", offset, cancellationToken);
        }

        Spend(buffer.Length, offset, "write");
        await inner.WriteAsync(offset, buffer, cancellationToken);
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        if (Match(FileOperation.Flush, 0, 0) is FaultRule rule)
        {
            await ObeyAsync(rule, "flush", 0, cancellationToken);
            if (rule.Drops)
                return;
        }

        await inner.FlushAsync(cancellationToken);
    }

    public async ValueTask SetLengthAsync(long length, CancellationToken cancellationToken)
    {
        if (Match(FileOperation.SetLength, length, 0) is FaultRule rule)
            await ObeyAsync(rule, "set length", length, cancellationToken);
        await inner.SetLengthAsync(length, cancellationToken);
    }

    public async ValueTask PunchHoleAsync(long offset, long length, CancellationToken cancellationToken)
    {
        if (Match(FileOperation.PunchHole, offset, length) is FaultRule rule)
            await ObeyAsync(rule, "punch hole", offset, cancellationToken);
        await inner.PunchHoleAsync(offset, length, cancellationToken);
    }

    public async ValueTask AllocateZeroesAsync(long offset, long length, CancellationToken cancellationToken)
    {
        if (Match(FileOperation.AllocateZeroes, offset, length) is FaultRule rule)
            await ObeyAsync(rule, "allocate", offset, cancellationToken);
        Spend(length, offset, "allocate");
        await inner.AllocateZeroesAsync(offset, length, cancellationToken);
    }

    public async ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken)
    {
        if (Match(FileOperation.GetExtent, offset, length) is FaultRule rule)
            await ObeyAsync(rule, "extent", offset, cancellationToken);
        return await inner.GetExtentAsync(offset, length, cancellationToken);
    }

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private FaultRule? Match(FileOperation operation, long offset, long length)
    {
        lock (_gate)
        {
            _counts[(int)operation]++;
            foreach (var rule in _rules)
            {
                if (rule.Operation == operation && rule.Where(offset, length) && rule.Counts())
                    return rule;
            }
        }

        return null;
    }

    private async ValueTask ObeyAsync(FaultRule rule, string operation, long offset, CancellationToken cancellationToken)
    {
        if (rule.DelayBy > TimeSpan.Zero)
            await Task.Delay(rule.DelayBy, time ?? TimeProvider.System, cancellationToken);
        if (rule.Holds)
            await rule.HoldAsync(cancellationToken);
        if (rule.Error is StorageErrorKind kind)
            throw new StorageException(kind, "fault injected by the test", Path, offset, operation);
    }

    private void Spend(long bytes, long offset, string operation)
    {
        lock (_gate)
        {
            if (_budget == long.MaxValue)
                return;
            if (bytes > _budget)
                throw new StorageException(StorageErrorKind.NoSpace, "the test's space budget is spent", Path, offset, operation);
            _budget -= bytes;
        }
    }
}
