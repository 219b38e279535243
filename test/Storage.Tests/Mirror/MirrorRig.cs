using Godwit.Storage.Bitmaps;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Limits;
using Godwit.Storage.Mirror;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Mirror;

/// <summary>A mirror of two disks in memory whose files can be made to fail, and its background copy.</summary>
internal sealed class MirrorRig : IAsyncDisposable
{
    public const int Granule = 4096;
    public static readonly CancellationToken None = CancellationToken.None;

    private readonly CancellationTokenSource _stop = new();

    private MirrorRig(IStorageFile source, IStorageFile target, DirtyBitmap bitmap, MirrorSetup setup)
    {
        SourceFile = new FaultyFile(source);
        TargetFile = new FaultyFile(target);
        Source = RawDisk.Open(setup.Plain ? source : SourceFile);
        Target = RawDisk.Open(setup.Plain ? target : TargetFile);
        Bitmap = bitmap;
        Limit = new RateLimit(setup.BytesPerSecond, setup.Time);
        Disk = new MirrorDisk(Source, Target, bitmap, setup.Time, setup.Options);
        Copy = new BackgroundCopy(Disk, Limit, setup.Time) { MostBytesPerChunk = setup.Chunk };
    }

    public FaultyFile SourceFile { get; }

    public FaultyFile TargetFile { get; }

    public RawDisk Source { get; }

    public RawDisk Target { get; }

    public DirtyBitmap Bitmap { get; }

    public RateLimit Limit { get; }

    public MirrorDisk Disk { get; }

    public BackgroundCopy Copy { get; }

    public Task Running { get; private set; } = Task.CompletedTask;

    public static MirrorRig Create(MemoryFile source, MemoryFile target, MirrorSetup? setup = null) =>
        new(source, target, DirtyBitmap.InMemory(source.Length), setup ?? new MirrorSetup());

    public static MirrorRig Create(IStorageFile source, IStorageFile target, DirtyBitmap bitmap, MirrorSetup? setup = null) =>
        new(source, target, bitmap, setup ?? new MirrorSetup());

    /// <summary>A source of random bytes and an empty target.</summary>
    public static MirrorRig Create(int size, MirrorSetup? setup = null) => Create(new MemoryFile(Noise(1, size)), Empty(size), setup);

    public static MemoryFile Empty(long size)
    {
        var file = new MemoryFile();
        Assert.True(file.SetLengthAsync(size, None).IsCompletedSuccessfully);
        return file;
    }

    public static byte[] Noise(int seed, int length)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    public void Start() => Running = Copy.RunAsync(_stop.Token);

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Running.ContinueWith(static _ => { }, None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    /// <summary>Waits until the mirror is in a state; a failure in between is the test's failure.</summary>
    public async Task UntilAsync(MirrorDiskState wanted)
    {
        for (var state = Disk.State; state != wanted; state = await Disk.WaitWhileAsync(state, None))
        {
            if (state == MirrorDiskState.Failed)
                Assert.Fail($"the mirror failed: {Disk.Problem}");
            if (state == MirrorDiskState.Verified && wanted == MirrorDiskState.InSync)
                return;
        }
    }

    /// <summary>Both sides hold the same bytes.</summary>
    public async Task AssertEqualAsync()
    {
        TargetFile.Heal();
        SourceFile.Heal();
        var source = await ContentAsync(Source);
        var target = await ContentAsync(Target);
        var same = source.AsSpan().CommonPrefixLength(target);
        Assert.True(same == source.Length, $"the sides differ at offset {same}, dirty there: {same < source.Length && Bitmap.IsDirty(same)}");
    }

    public static async Task<byte[]> ContentAsync(BlockDevice device)
    {
        var bytes = new byte[device.Length];
        await device.ReadAsync(0, bytes, None);
        return bytes;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await Disk.DisposeAsync();
        Bitmap.Dispose();
        _stop.Dispose();
    }
}

/// <summary>What a test wants different from the usual.</summary>
internal sealed record MirrorSetup
{
    public TimeProvider Time { get; init; } = TimeProvider.System;

    public MirrorOptions Options { get; init; } = new() { FirstRetryAfter = TimeSpan.FromMilliseconds(1) };

    public int Chunk { get; init; } = 1 << 20;

    public long? BytesPerSecond { get; init; }

    /// <summary>Without the files that can fail, whose methods allocate.</summary>
    public bool Plain { get; init; }
}
