namespace Godwit.Storage.Mirror;

/// <summary>The limits a <see cref="MirrorDisk"/> keeps. The defaults suit local disks and a guest that must not notice.</summary>
public sealed record MirrorOptions
{
    /// <summary>How long a guest's request, or a chunk that guests may be waiting for, waits for the target before the mirror
    /// goes back to copying in the background.</summary>
    public TimeSpan TargetTimeLimit { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long the target may go on failing, or not answering, before the mirror gives up.</summary>
    public TimeSpan GiveUpAfter { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>A full target is retried like any other failure instead of ending the mirror: on another host somebody can make room.</summary>
    public bool WaitsForSpace { get; init; }

    /// <summary>The wait before the first retry; doubles with each, up to five seconds.</summary>
    public TimeSpan FirstRetryAfter { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Go synchronous once no more than this many bytes are dirty.</summary>
    public long SynchronousBelow { get; init; } = 32L << 20;

    /// <summary>Go synchronous after this many rounds in a row that each left nearly as much dirty as the one before.</summary>
    public int RoundsWithoutProgress { get; init; } = 2;

    /// <summary>Chunks that are copied, and compared, at the same time. More than one is for a target that answers later.</summary>
    public int ChunksAtOnce { get; init; } = 1;

    /// <summary>A target that may forget (<see cref="MirrorDisk.Unflushed"/>) is flushed each time so many bytes have been copied, and
    /// every five seconds.</summary>
    public long FlushEvery { get; init; } = 256L << 20;
}
