namespace Godwit.Storage.Limits;

/// <summary>How much a disk may be used, and how much it has been promised.</summary>
/// <param name="RequestsPerSecond">Requests of up to 8 KiB per second, above zero; a longer one counts as so many of them, as Hyper-V's
/// MaximumIOPS does. Null for no limit.</param>
/// <param name="BytesPerSecond">Bytes read and written per second, above zero; null for no limit.</param>
public sealed record DiskLimits(long? RequestsPerSecond, long? BytesPerSecond)
{
    /// <summary>No limit.</summary>
    public static DiskLimits None { get; } = new(null, null);

    /// <summary>Requests per second during a burst, above <see cref="RequestsPerSecond"/>; null for no bursts.</summary>
    public long? BurstRequestsPerSecond { get; init; }

    /// <summary>Bytes per second during a burst, above <see cref="BytesPerSecond"/>; null for no bursts.</summary>
    public long? BurstBytesPerSecond { get; init; }

    /// <summary>How long a burst at its full rate lasts.</summary>
    public int BurstSeconds { get; init; } = 1;

    /// <summary>Requests per second the disk is promised, counted like <see cref="RequestsPerSecond"/>: whether it gets them is
    /// watched, nobody else is held back for it, as with Hyper-V's MinimumIOPS. Null for no promise.</summary>
    public long? MinimumRequestsPerSecond { get; init; }
}
