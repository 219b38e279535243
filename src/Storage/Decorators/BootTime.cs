namespace Godwit.Storage.Decorators;

/// <summary>Time since the computer was started, time asleep included (<c>CLOCK_BOOTTIME</c>): for promises to others, whose clocks went on meanwhile.</summary>
/// <remarks>Only timestamps come from this clock. Timers are the usual ones and stand still while the computer sleeps, so look at the time as well.</remarks>
public sealed class BootTime : TimeProvider
{
    private BootTime()
    {
    }

    /// <summary>The clock of this computer.</summary>
    public static BootTime Clock { get; } = new();

    /// <inheritdoc/>
    public override long TimestampFrequency => 1_000_000_000;

    /// <inheritdoc/>
    public override long GetTimestamp() => Interop.Clock.SinceBoot();
}
