using Godwit.Storage.Bitmaps;
using Godwit.Storage.Mirror;
using Godwit.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Mirror;

public sealed class MirrorKillTests : IDisposable
{
    private const int Size = (512 << 10) + 1536;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 120_000)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Killed_at_any_event_a_mirror_goes_on_and_ends_with_equal_disks(int seed)
    {
        var source = MirrorRig.Empty(Size);
        await source.WriteAsync(0, MirrorRig.Noise(seed, Size / 2), None);
        await source.WriteAsync(8192, new byte[16384], None);
        var path = _folder.File("run.bitmap");
        var points = new KillPoints(source, MirrorRig.Empty(Size), path) { Every = 3 };
        var target = points.Target;
        await using (var rig = MirrorRig.Create(points.Source, target, DirtyBitmap.Create(path, Size), new MirrorSetup { Chunk = 16 << 10 }))
        {
            rig.TargetFile.Fail(Testing.Files.FileOperation.Write, nth: 12, times: 2);
            var guest = GuestAsync(rig, seed);
            rig.Start();
            await rig.UntilAsync(MirrorDiskState.Verified);
            await guest;
        }

        Assert.True(points.States.Count > 50, $"only {points.States.Count} states");
        foreach (var (state, number) in points.States.Select((state, number) => (state, number)))
            await RestartAsync(state, $"seed {seed}, state {number}");
    }

    private static Task GuestAsync(MirrorRig rig, int seed) => Task.Run(async () =>
    {
        var random = new Random(seed);
        for (var i = 0; i < 120; i++)
        {
            var offset = random.Next(Size / 512) * 512L;
            var length = (int)Math.Min(random.Next(1, 40) * 512, Size - offset);
            if (i % 10 == 9)
                await rig.Disk.TrimAsync(offset, length, None);
            else
                await rig.Disk.WriteAsync(offset, MirrorRig.Noise(i, length), WriteFlags.None, None);
            await Task.Yield();
        }
    });

    private async Task RestartAsync(KillPoints.State state, string where)
    {
        var path = _folder.File("again.bitmap");
        await File.WriteAllBytesAsync(path, state.Bitmap, None);
        var source = state.Source.ToArray();
        await using var rig = MirrorRig.Create(state.Source, state.Target, DirtyBitmap.Open(path, Size));
        rig.Start();
        for (var known = rig.Disk.State; known != MirrorDiskState.Verified; known = await rig.Disk.WaitWhileAsync(known, None))
            Assert.False(known == MirrorDiskState.Failed, $"{where}: {rig.Disk.Problem?.Message}");
        Assert.True(source.AsSpan().SequenceEqual(state.Target.ToArray()), $"{where}: the sides differ");
    }
}
