namespace Godwit.Storage.Operations;

/// <summary>How a device is to be copied.</summary>
public sealed record CopyOptions
{
    /// <summary>Everything before this offset is on the target already; a multiple of 4096 bytes.</summary>
    public long From { get; init; }

    /// <summary>Is told how far it is, several times a second at most when copying is slow; called by one thread at a time.</summary>
    public Action<CopyProgress>? OnProgress { get; init; }

    /// <summary>Is told an offset once everything before it is on the target and flushed. Copying goes on meanwhile; the next call
    /// comes when this one has returned.</summary>
    public Action<long>? OnStable { get; init; }

    /// <summary>A flush begins after this many bytes at the latest, when somebody wants to know what is stable.</summary>
    public long StableBytes { get; init; } = 256L << 20;

    /// <summary>A flush begins after this time at the latest, when somebody wants to know what is stable.</summary>
    public TimeSpan StableTime { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>How far a copy, a hash or a comparison is.</summary>
/// <param name="Done">Bytes of data done, those of an earlier run included.</param>
/// <param name="Total">Bytes of data there are; what reads as zeroes does not count.</param>
public readonly record struct CopyProgress(long Done, long Total);
