namespace Godwit.Api.Disks;

/// <summary>How much a disk may be used and how much it is promised; kept by its worker until it is changed.</summary>
/// <param name="RequestsPerSecond">Requests of up to 8 KiB per second, above zero; a longer one counts as so many of them. Null for no limit.</param>
/// <param name="BytesPerSecond">Bytes read and written per second, above zero; null for no limit.</param>
/// <param name="BurstRequestsPerSecond">Requests per second for a while after idle time, above <paramref name="RequestsPerSecond"/>; null for no bursts.</param>
/// <param name="BurstBytesPerSecond">Bytes per second for a while after idle time, above <paramref name="BytesPerSecond"/>; null for no bursts.</param>
/// <param name="BurstSeconds">How long a burst at its full rate lasts, 1 to 3600; null for 1.</param>
/// <param name="MinimumRequestsPerSecond">Requests per second the disk is promised, counted like <paramref name="RequestsPerSecond"/>; whether it gets
/// them is watched, nobody is held back for it. Null for no promise.</param>
public sealed record DiskLimitSpec(
    long? RequestsPerSecond = null,
    long? BytesPerSecond = null,
    long? BurstRequestsPerSecond = null,
    long? BurstBytesPerSecond = null,
    int? BurstSeconds = null,
    long? MinimumRequestsPerSecond = null)
{
    /// <summary>The longest burst, in seconds.</summary>
    public const int LongestBurst = 3600;

    /// <summary>What makes no sense about it, in words; null when nothing does.</summary>
    public string? FindProblem()
    {
        if (RequestsPerSecond <= 0 || BytesPerSecond <= 0 || MinimumRequestsPerSecond <= 0)
            return "a limit is above zero";
        if (!IsBurst(BurstRequestsPerSecond, RequestsPerSecond) || !IsBurst(BurstBytesPerSecond, BytesPerSecond))
            return "a burst is above the limit it goes beyond";
        if (BurstSeconds is < 1 or > LongestBurst || (BurstSeconds is not null && BurstRequestsPerSecond is null && BurstBytesPerSecond is null))
            return $"a burst lasts 1 to {LongestBurst} seconds, and has a rate";
        return MinimumRequestsPerSecond > RequestsPerSecond ? "what is promised is not above the limit" : null;
    }

    private static bool IsBurst(long? burst, long? limit) => burst is null || burst > limit;
}
