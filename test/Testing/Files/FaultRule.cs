using Godwit.Storage;

namespace Godwit.Testing.Files;

/// <summary>When a <see cref="FaultyFile"/> or a faulty disk misbehaves, and how.</summary>
/// <param name="operation">The operation it applies to.</param>
public sealed class FaultRule(FileOperation operation)
{
    private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _seen;

    public FileOperation Operation => operation;

    /// <summary>Only requests this accepts count; all do unless set.</summary>
    public Func<long, long, bool> Where { get; init; } = static (_, _) => true;

    /// <summary>The first matching request it applies to, from 1.</summary>
    public int Nth { get; init; } = 1;

    /// <summary>How many requests in a row it applies to.</summary>
    public int Times { get; init; } = 1;

    /// <summary>The error to fail with; none when null.</summary>
    public StorageErrorKind? Error { get; init; }

    /// <summary>How long to wait first.</summary>
    public TimeSpan DelayBy { get; init; }

    /// <summary>Wait for <see cref="Release"/>.</summary>
    public bool Holds { get; init; }

    /// <summary>Do it, and wait with the answer for <see cref="Release"/>: what happens meanwhile is not covered; flush only.</summary>
    public bool HoldsAnswer { get; init; }

    /// <summary>Acknowledge without doing it; flush only.</summary>
    public bool Drops { get; init; }

    /// <summary>Bytes a failing write leaves behind; writes only.</summary>
    public int KeepBytes { get; init; }

    /// <summary>Completes when a request is being held.</summary>
    public Task Reached => _reached.Task;

    /// <summary>Lets the held requests go on.</summary>
    public void Release() => _released.TrySetResult();

    internal StorageException ToException(string? path, long offset) =>
        new(Error ?? StorageErrorKind.IoFailed, "fault injected by the test", path, offset, Operation.ToString());

    /// <summary>Counts a matching request and tells whether the rule applies to it. Called under the file's lock.</summary>
    internal bool Counts()
    {
        _seen++;
        return _seen >= Nth && _seen - Nth < Times;
    }

    internal Task HoldAsync(CancellationToken cancellationToken)
    {
        _reached.TrySetResult();
        return _released.Task.WaitAsync(cancellationToken);
    }
}
