using Godwit.Api.Jobs;

namespace Godwit.ControlPlane.Jobs;

/// <summary>
/// Turns byte counts into what a user sees: rate over the last seconds, time left, and a percentage that never falls.
/// </summary>
/// <remarks>Not thread-safe; one job reports to it.</remarks>
internal sealed class ProgressMeter(TimeProvider time)
{
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(5);

    private readonly Queue<(long At, long Bytes)> _samples = new();
    private string _phase = "";
    private double _percent;

    /// <summary>Continues from what a former daemon had shown.</summary>
    public void Restore(JobProgress? last) => _percent = last?.Percent ?? 0;

    /// <summary>Takes a report and answers what to show.</summary>
    /// <param name="phase">A new phase starts a new rate.</param>
    /// <param name="shown">Bytes copied and expected, as shown.</param>
    /// <param name="work">Bytes done and expected of what the phase does (copying, comparing).</param>
    /// <param name="span">The phase's part of the whole, in percent.</param>
    /// <param name="later">Bytes of work that follow this phase at about the same rate.</param>
    public JobProgress Report(
        string phase, (long Done, long Total) shown, (long Done, long Total) work, (double From, double To) span, long later)
    {
        if (phase != _phase)
        {
            _phase = phase;
            _samples.Clear();
        }
        var rate = Rate(work.Done);
        var share = work.Total <= 0 ? 0 : Math.Clamp((double)work.Done / work.Total, 0, 1);
        _percent = Math.Max(_percent, span.From + ((span.To - span.From) * share));
        var left = Math.Max(0, work.Total - work.Done) + later;
        double? seconds = rate > 0 ? Math.Round((double)left / rate, 1) : null;
        return new JobProgress(shown.Done, Math.Max(shown.Done, shown.Total), rate, seconds, Math.Round(_percent, 1));
    }

    private long Rate(long done)
    {
        var now = time.GetTimestamp();
        while (_samples.Count > 1 && time.GetElapsedTime(_samples.Peek().At, now) > Window)
        {
            _samples.Dequeue();
        }
        _samples.Enqueue((now, done));
        var (at, bytes) = _samples.Peek();
        var seconds = time.GetElapsedTime(at, now).TotalSeconds;
        return seconds <= 0 ? 0 : Math.Max(0, (long)((done - bytes) / seconds));
    }
}
