using Godwit.Benchmarks.Nbd;

namespace Godwit.Benchmarks.Mirror;

/// <summary>Copying a whole disk to a new file on the same file system, until it survives a power cut.</summary>
/// <param name="Program">"godwit", "qemu" or "cp".</param>
/// <param name="BytesPerSecond">The median.</param>
/// <param name="Rounds">Bytes per second of each round.</param>
internal sealed record BulkMeasurement(string Program, double BytesPerSecond, IReadOnlyList<double> Rounds);

/// <summary>Random writes of 4 KiB by fio's NBD engine, with a mirror being built and without.</summary>
/// <param name="Program">"godwit" or "qemu".</param>
/// <param name="Depth">Requests in flight.</param>
/// <param name="Alone">Writes per second without a mirror; the median.</param>
/// <param name="Mirrored">Writes per second with one; the median.</param>
/// <param name="StillCopying">Rounds in which the copy was not through when the guest stopped writing.</param>
internal sealed record GuestMeasurement(string Program, int Depth, double Alone, double Mirrored, int StillCopying)
{
    /// <summary>What is left of the rate, in percent.</summary>
    public double KeptPercent => 100 * Mirrored / Alone;
}

/// <summary>What a guest that writes one request after the other notices of a switchover.</summary>
/// <param name="Switches">How many were made.</param>
/// <param name="MedianMilliseconds">The longest write around a switchover: the median of all.</param>
/// <param name="P99Milliseconds">Ninety-nine of a hundred stay within that.</param>
/// <param name="LongestMilliseconds">The longest of all.</param>
/// <param name="UsualMilliseconds">A write at other times; the median.</param>
internal sealed record StallMeasurement(
    int Switches, double MedianMilliseconds, double P99Milliseconds, double LongestMilliseconds, double UsualMilliseconds);

/// <summary>What the run found out, as written to the report file.</summary>
internal sealed record MirrorReport(
    IReadOnlyList<BulkMeasurement> Bulk,
    IReadOnlyList<GuestMeasurement> Guests,
    StallMeasurement Stall,
    IReadOnlyList<Goal> Goals,
    int Rounds,
    string Folder,
    string FileSystem,
    int Processors,
    double LoadAverage);
