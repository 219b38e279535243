namespace Godwit.Api.Jobs;

/// <summary>A long operation as it stands now.</summary>
/// <param name="Id">Never changes and is never used again.</param>
/// <param name="Kind">What it does, for example "move-storage".</param>
/// <param name="Target">Name of the VM it works on.</param>
/// <param name="State">Where it stands.</param>
/// <param name="Phase">The phase it is in (Validate, Prepare, Copy, InSync, Transfer, Switchover, Finish).</param>
/// <param name="Progress">How far it is, when that can be told.</param>
/// <param name="CanCancel">False once the commit point is passed.</param>
/// <param name="Problem">Why it failed, or why it is being undone.</param>
/// <param name="Created">When it was accepted.</param>
/// <param name="Ended">When it ended.</param>
/// <param name="Steps">Every step of the plan with its state, in order.</param>
/// <param name="Notes">What happened on the way (a worker restarted, the daemon restarted), oldest first.</param>
public sealed record Job(
    Guid Id,
    string Kind,
    string Target,
    JobState State,
    string Phase,
    JobProgress? Progress,
    bool CanCancel,
    Problem? Problem,
    DateTimeOffset Created,
    DateTimeOffset? Ended,
    IReadOnlyList<JobStepStatus> Steps,
    IReadOnlyList<string> Notes)
{
    /// <summary>Succeeded, failed or cancelled: it will not change any more.</summary>
    public bool HasEnded => State is JobState.Succeeded or JobState.Failed or JobState.Cancelled;
}

/// <summary>How far a job is. Never runs backwards within a phase.</summary>
/// <param name="BytesDone">Bytes copied so far, repeated copies of changed ranges included.</param>
/// <param name="BytesTotal">Bytes expected in all, as known now.</param>
/// <param name="BytesPerSecond">Rate over the last seconds.</param>
/// <param name="SecondsLeft">Expected time to the end, when it can be told.</param>
/// <param name="Percent">0 to 100, over all phases.</param>
public sealed record JobProgress(long BytesDone, long BytesTotal, long BytesPerSecond, double? SecondsLeft, double Percent);

/// <summary>One step of a job's plan.</summary>
/// <param name="Name">What it does, in a few words.</param>
/// <param name="Phase">The phase it belongs to.</param>
/// <param name="State">"pending", "running", "done", "undone" or "failed".</param>
public sealed record JobStepStatus(string Name, string Phase, string State);
