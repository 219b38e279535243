using Godwit.Cli.Progress;
using Godwit.Storage.Operations;

namespace Godwit.Cli.Disks;

/// <summary>Shows how far a copy, a hash or a comparison is.</summary>
/// <param name="session">The command.</param>
/// <param name="phase">What is being done, in a word.</param>
internal sealed class DataProgress(Session session, string phase)
{
    private readonly RateMeter _meter = new(session.Shell.Time);

    /// <summary>Takes the newest state.</summary>
    public void Show(CopyProgress progress)
    {
        var (done, total) = (progress.Done, progress.Total);
        _meter.Note(done);
        var percent = total == 0 ? 100 : 100.0 * done / total;
        session.Talk.Show(new ProgressState(phase, percent, done, total, _meter.BytesPerSecond, _meter.SecondsFor(total - done)));
    }
}
