namespace Godwit.Benchmarks.Disk;

/// <summary>How much a run does.</summary>
internal sealed record DiskRunSize
{
    /// <summary>Runs of each program.</summary>
    public int Rounds { get; init; } = 3;

    /// <summary>MiB of the sparse disk.</summary>
    public int SparseDisk { get; init; } = 64 << 10;

    /// <summary>MiB of data on it.</summary>
    public int SparseData { get; init; } = 1 << 10;

    /// <summary>MiB of the disk that is full of data.</summary>
    public int FullDisk { get; init; } = 4 << 10;

    /// <summary>Blocks that Godwit allocates in one measurement.</summary>
    public int GodwitBlocks { get; init; } = 4000;

    /// <summary>Blocks that QEMU allocates in one measurement: fewer, because it needs so much longer for each.</summary>
    public int QemuBlocks { get; init; } = 300;

    /// <summary>Blocks allocated while calls are counted.</summary>
    public int CountedBlocks { get; init; } = 257;

    /// <summary>TiB of the disk whose open is measured.</summary>
    public int HugeTebibytes { get; init; } = 64;

    /// <summary>Also fills the table of that disk, which takes 513 MiB.</summary>
    public bool FullTable { get; init; } = true;

    /// <summary>Everything once in a few seconds: that it works, not how quick it is.</summary>
    public static DiskRunSize Small { get; } = new()
    {
        Rounds = 1,
        SparseDisk = 512,
        SparseData = 8,
        FullDisk = 24,
        GodwitBlocks = 200,
        QemuBlocks = 40,
        CountedBlocks = 33,
        HugeTebibytes = 1,
        FullTable = false,
    };
}
