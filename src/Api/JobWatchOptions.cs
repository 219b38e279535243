namespace Godwit.Api;

/// <summary>How patiently a job is watched.</summary>
/// <param name="PollInterval">How long to wait between two questions while there is no event stream.</param>
/// <param name="SilenceLimit">A stream without a word for this long counts as cut.</param>
/// <param name="Patience">How long the daemon may be away (restarting) before watching fails.</param>
/// <param name="Interrupted">Called once each time the daemon goes away while it is watched, with the reason.</param>
public sealed record JobWatchOptions(
    TimeSpan PollInterval, TimeSpan SilenceLimit, TimeSpan Patience, Action<string>? Interrupted = null)
{
    /// <summary>Asks every second, lets a stream be silent for 20 seconds and the daemon be away for two minutes.</summary>
    public static JobWatchOptions Default { get; } =
        new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(20), TimeSpan.FromMinutes(2));
}
