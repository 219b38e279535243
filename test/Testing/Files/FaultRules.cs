using Godwit.Storage;

namespace Godwit.Testing.Files;

/// <summary>The rules a file or device misbehaves by. Tried in the order they were added; each request uses up the first
/// that matches. Safe from any thread.</summary>
public sealed class FaultRules(TimeProvider? time = null)
{
    private readonly Lock _gate = new();
    private readonly List<FaultRule> _rules = [];
    private readonly int[] _counts = new int[Enum.GetValues<FileOperation>().Length];
    private long _budget = long.MaxValue;

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

    /// <summary>Fails the next operation of a kind, or the n-th from now.</summary>
    public FaultRule Fail(FileOperation operation, StorageErrorKind kind = StorageErrorKind.IoFailed, int nth = 1, int times = 1) =>
        Add(new FaultRule(operation) { Error = kind, Nth = nth, Times = times });

    /// <summary>Fails every operation of a kind from now on.</summary>
    public FaultRule FailAlways(FileOperation operation, StorageErrorKind kind = StorageErrorKind.IoFailed) =>
        Fail(operation, kind, times: int.MaxValue);

    /// <summary>Holds the next operation of a kind until <see cref="FaultRule.Release"/>; <see cref="FaultRule.Reached"/> tells when.</summary>
    public FaultRule Hold(FileOperation operation, int nth = 1) => Add(new FaultRule(operation) { Holds = true, Nth = nth });

    /// <summary>Lets the next flush happen and holds its answer until <see cref="FaultRule.Release"/>.</summary>
    public FaultRule HoldFlushAnswer() => Add(new FaultRule(FileOperation.Flush) { HoldsAnswer = true });

    /// <summary>Delays operations of a kind, on the given clock.</summary>
    public FaultRule Delay(FileOperation operation, TimeSpan delay, int times = int.MaxValue) =>
        Add(new FaultRule(operation) { DelayBy = delay, Times = times });

    /// <summary>Writes only the first bytes of the next write and fails it.</summary>
    public FaultRule TearWrite(int keep, int nth = 1) =>
        Add(new FaultRule(FileOperation.Write) { Error = StorageErrorKind.IoFailed, KeepBytes = keep, Nth = nth });

    /// <summary>Acknowledges the next flush without doing it.</summary>
    public FaultRule DropFlush(int nth = 1) => Add(new FaultRule(FileOperation.Flush) { Drops = true, Nth = nth });

    /// <summary>After this many more bytes written or allocated everything that needs space fails with NoSpace.</summary>
    public void LimitSpace(long bytes)
    {
        lock (_gate)
            _budget = bytes;
    }

    /// <summary>Forgets all rules and the space budget.</summary>
    public void Heal()
    {
        lock (_gate)
        {
            _rules.Clear();
            _budget = long.MaxValue;
        }
    }

    /// <summary>Does what the rules want before a request is passed on; throws when it must fail.</summary>
    /// <returns>The rule, when there is still something to do for the caller: tear, drop or hold the answer.</returns>
    internal async ValueTask<FaultRule?> ObeyAsync(
        FileOperation operation, string? path, long offset, long length, CancellationToken cancellationToken)
    {
        if (Match(operation, offset, length) is FaultRule rule)
        {
            if (rule.DelayBy > TimeSpan.Zero)
                await Task.Delay(rule.DelayBy, time ?? TimeProvider.System, cancellationToken);
            if (rule.Holds)
                await rule.HoldAsync(cancellationToken);
            if (rule.Drops || rule.KeepBytes > 0 || rule.HoldsAnswer)
                return rule;
            if (rule.Error is not null)
                throw rule.ToException(path, offset);
        }

        if (operation is FileOperation.Write or FileOperation.AllocateZeroes)
            Spend(operation, path, offset, length);
        return null;
    }

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

    private void Spend(FileOperation operation, string? path, long offset, long bytes)
    {
        lock (_gate)
        {
            if (_budget == long.MaxValue)
                return;
            if (bytes > _budget)
                throw new StorageException(StorageErrorKind.NoSpace, "the test's space budget is spent", path, offset, operation.ToString());
            _budget -= bytes;
        }
    }
}
