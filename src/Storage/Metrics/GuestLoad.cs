namespace Godwit.Storage.Metrics;

/// <summary>What guests have asked of a disk so far, and how long they have waited for it in all.</summary>
/// <param name="Requests">Requests that have ended.</param>
/// <param name="Nanoseconds">The sum of their times.</param>
public readonly record struct GuestLoad(long Requests, long Nanoseconds)
{
    /// <summary>Mean time of the requests since an earlier look, in nanoseconds; 0 without any.</summary>
    /// <param name="earlier">The earlier look.</param>
    public double MeanSince(GuestLoad earlier) =>
        Requests > earlier.Requests ? (double)(Nanoseconds - earlier.Nanoseconds) / (Requests - earlier.Requests) : 0;
}
