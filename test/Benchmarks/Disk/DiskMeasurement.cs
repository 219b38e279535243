namespace Godwit.Benchmarks.Disk;

/// <summary>One run of a program.</summary>
/// <param name="Seconds">From its start to its end.</param>
/// <param name="SyncSeconds">What it then took to make the file it had made survive a power cut; zero when it made none.</param>
/// <param name="CpuSeconds">Processor time, user and kernel.</param>
/// <param name="PeakBytes">The most memory it had in use, asked every few milliseconds.</param>
internal sealed record DiskSample(double Seconds, double SyncSeconds, double CpuSeconds, long PeakBytes)
{
    /// <summary>Until the result is as safe as the one Godwit leaves.</summary>
    public double DurableSeconds => Seconds + SyncSeconds;
}

/// <summary>A program's runs of a case.</summary>
internal sealed record DiskMeasurement(string Case, string Program, IReadOnlyList<DiskSample> Rounds)
{
    public double Seconds => Rounds.Min(round => round.Seconds);

    public double MedianSeconds => Median(round => round.Seconds);

    public double DurableSeconds => Rounds.Min(round => round.DurableSeconds);

    public double MedianDurableSeconds => Median(round => round.DurableSeconds);

    public double CpuSeconds => Rounds.Min(round => round.CpuSeconds);

    public long PeakBytes => Rounds.Max(round => round.PeakBytes);

    private double Median(Func<DiskSample, double> value) => Rounds.Select(value).Order().ElementAt(Rounds.Count / 2);
}

/// <summary>How quickly a served VHDX takes writes that each need a new block.</summary>
/// <param name="Load">"unflushed", or how many writes there are between two flushes.</param>
/// <param name="Server">"godwit" or "qemu-storage-daemon".</param>
/// <param name="BlocksPerSecond">One number per round.</param>
/// <param name="Blocks">Blocks allocated while calls were counted.</param>
/// <param name="SyncCalls">Calls of fdatasync and fsync then; null when they could not be counted.</param>
internal sealed record NewBlocksMeasurement(string Load, string Server, IReadOnlyList<double> BlocksPerSecond, int Blocks, int? SyncCalls);

/// <summary>What the run found out, as written to the report file.</summary>
internal sealed record DiskReport(
    IReadOnlyList<DiskMeasurement> Results,
    IReadOnlyList<NewBlocksMeasurement> NewBlocks,
    IReadOnlyList<string> Notes,
    string Folder,
    string FileSystem,
    int Processors,
    double LoadAverage);
