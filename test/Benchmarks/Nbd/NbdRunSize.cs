namespace Godwit.Benchmarks.Nbd;

/// <summary>How much a run does.</summary>
internal sealed record NbdRunSize
{
    /// <summary>Alternated rounds of each measurement.</summary>
    public int Rounds { get; init; } = 5;

    /// <summary>Length of one measurement.</summary>
    public double Seconds { get; init; } = 0.7;

    /// <summary>By how much the number of requests that the rate is guessed from is divided.</summary>
    public int TrialDivisor { get; init; } = 1;

    /// <summary>MiB of the disks of the warm loads.</summary>
    public int WarmDisk { get; init; } = 192;

    /// <summary>MiB of the disk that is read without a page cache: so many that few places are asked for twice.</summary>
    public int ColdDisk { get; init; } = 2 << 10;

    /// <summary>Starts of each server.</summary>
    public int Starts { get; init; } = 20;

    /// <summary>MiB of the sparse disk.</summary>
    public int SparseDisk { get; init; } = 64 << 10;

    /// <summary>MiB of data on it, each in a piece of its own.</summary>
    public int SparseData { get; init; } = 1 << 10;

    /// <summary>Everything once in a few seconds: that it works, not how quick it is.</summary>
    public static NbdRunSize Small { get; } = new()
    {
        Rounds = 1,
        Seconds = 0.02,
        TrialDivisor = 20,
        WarmDisk = 32,
        ColdDisk = 32,
        Starts = 3,
        SparseDisk = 512,
        SparseData = 8,
    };
}
