using Godwit.Cli.Progress;
using Godwit.Storage.Operations;

namespace Godwit.Cli.Disks;

/// <summary>Shows the progress of an operation on disks with its rate and the time left.</summary>
/// <param name="session">Where to show it.</param>
internal sealed class OperationMeter(Session session)
{
    private RateMeter _meter = new(session.Shell.Time);
    private string? _phase;

    /// <summary>Takes the newest state.</summary>
    public void Show(OperationProgress progress)
    {
        if (progress.Phase != _phase)
            _meter = new RateMeter(session.Shell.Time);
        _phase = progress.Phase;
        _meter.Note(progress.BytesDone);
        var percent = progress.BytesTotal == 0 ? 100 : 100.0 * progress.BytesDone / progress.BytesTotal;
        session.Talk.Show(new ProgressState(
            progress.Phase, percent, progress.BytesDone, progress.BytesTotal, _meter.BytesPerSecond,
            _meter.SecondsFor(progress.BytesTotal - progress.BytesDone)));
    }
}
