namespace Godwit.Testing.Guest;

/// <summary>What one boot of the guest has said so far. Filled by <see cref="GuestLog"/> under its lock.</summary>
public sealed class GuestBoot
{
    internal GuestBoot(long generation) => Generation = generation;

    /// <summary>Larger for a later boot; written into every record.</summary>
    public long Generation { get; }

    /// <summary>Where records go; null until the guest has found its disk.</summary>
    public GuestLayout? Layout { get; internal set; }

    /// <summary>Filler on the disk: first byte and length in bytes.</summary>
    public (long Start, long Length) Filler { get; internal set; }

    internal List<GuestAcknowledgement> Acknowledged { get; } = [];

    internal List<long> Heartbeats { get; } = [];

    internal List<(long Sequence, int Errno)> Errors { get; } = [];
}

/// <summary>A write the guest was told is done.</summary>
/// <param name="Sequence">Its number.</param>
/// <param name="Stamp">When the host read the line, in ticks of the log's clock.</param>
/// <param name="Microseconds">How long it took by the guest's clock.</param>
public readonly record struct GuestAcknowledgement(long Sequence, long Stamp, long Microseconds);
