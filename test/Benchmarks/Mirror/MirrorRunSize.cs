namespace Godwit.Benchmarks.Mirror;

/// <summary>How much a run does.</summary>
internal sealed record MirrorRunSize
{
    /// <summary>Alternated rounds of each measurement.</summary>
    public int Rounds { get; init; } = 5;

    /// <summary>MiB of the disk that is mirrored, full of data.</summary>
    public int Disk { get; init; } = 4 << 10;

    /// <summary>Milliseconds that a guest writes in one measurement: shorter than the copy of the disk takes.</summary>
    public int GuestMilliseconds { get; init; } = 1500;

    /// <summary>Switchovers.</summary>
    public int Switches { get; init; } = 100;

    /// <summary>MiB of the disk that is switched over.</summary>
    public int SwitchedDisk { get; init; } = 16;

    /// <summary>Everything once in a few seconds: that it works, not how quick it is.</summary>
    public static MirrorRunSize Small { get; } = new() { Rounds = 1, Disk = 32, GuestMilliseconds = 200, Switches = 2, SwitchedDisk = 4 };
}
