namespace Godwit.ControlPlane.Jobs;

/// <summary>What a step may know of its job and tell it.</summary>
public sealed class JobContext
{
    private readonly JobRunner _runner;
    private readonly JobEntry _job;
    private readonly ProgressMeter _meter;

    internal JobContext(JobRunner runner, JobEntry job, TimeProvider time)
    {
        _runner = runner;
        _job = job;
        _meter = new ProgressMeter(time);
        _meter.Restore(job.Progress);
        Time = time;
    }

    /// <summary>The job's id.</summary>
    public Guid JobId => _job.Id;

    /// <summary>The VM it works on.</summary>
    public Guid Vm => _job.Vm;

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; }

    /// <summary>A journalled fact, or null.</summary>
    /// <param name="name">Its name.</param>
    public string? GetFact(string name) => _runner.GetFact(_job, name);

    /// <summary>Journals a fact; durable when this returns, so call it before acting on it.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="value">Its value.</param>
    public void SetFact(string name, string value) => _runner.SetFact(_job, name, value);

    /// <summary>Tells the user that something happened.</summary>
    /// <param name="text">A sentence.</param>
    public void Note(string text) => _runner.Note(_job, text);

    /// <summary>Reports how far the phase is.</summary>
    internal void Report(
        string phase, (long Done, long Total) shown, (long Done, long Total) work, (double From, double To) span, long later = 0) =>
        _runner.SetProgress(_job, _meter.Report(phase, shown, work, span, later));
}
