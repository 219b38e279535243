using Godwit.Nbd.Remote;
using Godwit.Nbd.Tests.Nbd;
using Godwit.Storage;
using Godwit.Storage.Bitmaps;
using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Limits;
using Godwit.Storage.Mirror;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Nbd.Tests.Remote;

/// <summary>A mirror to another host whose link is cut, whose server goes away, and whose power fails, while guests write.</summary>
public sealed class RemoteMirrorTests
{
    private const int Size = 4 << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    /// <summary>What happens to the other side, between two servers of the same file.</summary>
    public enum Loss
    {
        Cut,
        Silence,
        Restart,
        PowerCut,
    }

    [Theory(Timeout = 120_000)]
    [InlineData(Loss.Cut)]
    [InlineData(Loss.Silence)]
    [InlineData(Loss.Restart)]
    [InlineData(Loss.PowerCut)]
    public async Task No_write_is_missing_at_the_end_and_no_guest_sees_an_error(Loss loss)
    {
        for (var seed = 0; seed < 4; seed++)
        {
            var source = RawDisk.Open(new MemoryFile(Noise(seed, Size)));
            var far = new CrashFile();
            await far.SetLengthAsync(Size, None);
            await far.FlushAsync(None);
            var served = new Served(far);
            await using var link = new BreakableLink(served.Server.EndPoint);
            var options = new RemoteDiskOptions(link.EndPoint, "disk", 1)
            {
                SilenceLimit = TimeSpan.FromMilliseconds(100),
                FirstRetryAfter = TimeSpan.FromMilliseconds(2),
                ConnectLimit = TimeSpan.FromSeconds(2),
            };
            await using var target = await RemoteDisk.ConnectAsync(options, None);
            using var bitmap = DirtyBitmap.InMemory(Size);
            using var unflushed = UnflushedRanges.InMemory(Size);
            await using var mirror = new MirrorDisk(source, target, bitmap, TimeProvider.System, MirrorSetup, unflushed);
            var copy = new BackgroundCopy(mirror, new RateLimit(32 << 20, TimeProvider.System), TimeProvider.System);
            using var stop = new CancellationTokenSource();
            var running = copy.RunAsync(stop.Token);
            var guests = Task.WhenAll(Task.Run(() => WriteAsync(mirror, seed)), Task.Run(() => WriteAsync(mirror, seed + 50)));
            for (var round = 0; round < 3; round++)
            {
                await Task.Delay(10 + (seed * 7), None);
                served = await LoseAsync(loss, link, served, seed);
            }

            await guests;
            await UntilVerifiedAsync(mirror);
            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
            await AssertEqualAsync(source, served.File);
            await served.DisposeAsync();
        }
    }

    private static MirrorOptions MirrorSetup => new()
    {
        FirstRetryAfter = TimeSpan.FromMilliseconds(1),
        GiveUpAfter = TimeSpan.FromMinutes(2),
        ChunksAtOnce = 4,
        SynchronousBelow = 256 << 10,
    };

    private static async Task<Served> LoseAsync(Loss loss, BreakableLink link, Served served, int seed)
    {
        switch (loss)
        {
            case Loss.Silence:
                link.Silence();
                await Task.Delay(250, None);
                break;
            case Loss.Cut:
                link.Cut();
                await Task.Delay(20, None);
                break;
            default:
                link.Cut();
                await served.DisposeAsync();
                served = new Served(loss == Loss.Restart ? served.File : served.AfterPowerCut(seed));
                link.Server = served.Server.EndPoint;
                break;
        }

        link.Mend();
        return served;
    }

    private static async Task WriteAsync(MirrorDisk mirror, int seed)
    {
        var random = new Random(seed);
        for (var i = 0; i < 150; i++)
        {
            var offset = random.Next((Size / 512) - 64) * 512L;
            if (i % 13 == 12)
                await mirror.FlushAsync(None);
            else if (i % 7 == 6)
                await mirror.WriteZeroesAsync(offset, 8192, WriteFlags.None, None);
            else
                await mirror.WriteAsync(offset, Noise(i, random.Next(1, 64) * 512), WriteFlags.None, None);
            if (i % 10 == 0)
                await Task.Delay(5, None);
        }
    }

    private static async Task UntilVerifiedAsync(MirrorDisk mirror)
    {
        for (var state = mirror.State; state != MirrorDiskState.Verified; state = await mirror.WaitWhileAsync(state, None))
            Assert.True(state != MirrorDiskState.Failed, $"the mirror failed: {mirror.Problem}");
    }

    private static async Task AssertEqualAsync(RawDisk source, CrashFile far)
    {
        var (ours, theirs) = (new byte[Size], new byte[Size]);
        await source.ReadAsync(0, ours, None);
        await far.ReadAsync(0, theirs, None);
        var same = ours.AsSpan().CommonPrefixLength(theirs);
        Assert.True(same == Size, $"the sides differ at offset {same}");
    }

    private static byte[] Noise(int seed, int length)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>The other host: a file with a server in front.</summary>
    private sealed class Served(CrashFile file) : IAsyncDisposable
    {
        public CrashFile File { get; } = file;

        public ServerUnderTest Server { get; } = new(RawDisk.Open(file));

        /// <summary>The file as the host finds it when it has power again.</summary>
        public CrashFile AfterPowerCut(int seed) => new(File.AfterPowerCut(File.EventCount, PowerCut.RandomSubset, seed));

        public ValueTask DisposeAsync() => Server.DisposeAsync();
    }
}
