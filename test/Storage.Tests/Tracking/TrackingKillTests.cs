using Godwit.Storage.Tracking;
using Godwit.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Tracking;

/// <summary>The process dies before or after any change of the disk; what it leaves is taken up by the next one, and by one after a power cut.</summary>
public sealed class TrackingKillTests : IDisposable
{
    private const int Size = (1 << 19) + 1536;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 120_000)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task After_a_kill_at_any_event_every_point_covers_what_differs_and_after_a_power_cut_it_says_everything(int seed)
    {
        var states = new List<State>();
        TrackingRig rig = null!;
        await using (rig = new TrackingRig(Size, content => new SnapshotDisk(content, () => states.Add(State.Of(rig)))))
        {
            var random = new Random(seed);
            for (var i = 0; i < 150; i++)
            {
                if (i % 30 == 5)
                    await rig.AddAsync($"p{i}");
                if (i % 60 == 55)
                    await rig.RemoveAsync(rig.Tracker.Points[0].Name);
                if (i == 100)
                    await rig.Disk.ResizeAsync(Size + 8192, None);
                await ChangeAsync(rig.Disk, random);
            }
        }

        Assert.True(states.Count > 250, $"only {states.Count} states");
        var (kept, marked) = (0, 0L);
        foreach (var (state, number) in states.Select((state, number) => (state, number)))
        {
            foreach (var (name, bitmap, then) in state.Points)
            {
                var path = _folder.File("again.changes");
                await File.WriteAllBytesAsync(path, bitmap, None);
                using (var lost = ChangePoint.Open(name, path, state.Disk.Length, Guid.NewGuid(), null))
                    Assert.Equal(state.Disk.Length, lost.ChangedBytes(state.Disk.Length));

                using var again = ChangePoint.Open(name, path, state.Disk.Length, TrackingRig.Boot, null);
                TrackingRig.AssertCovers(again, then, state.Disk, $"seed {seed}, state {number}, {name}");
                kept += again.LostBecause is null ? 1 : 0;
                marked += again.ChangedBytes(state.Disk.Length) * 2 > state.Disk.Length ? 0 : 1;
            }
        }

        // Else a point that always says everything would pass.
        Assert.True(kept > states.Count && marked > states.Count / 2, $"{kept} of {states.Count} kept, {marked} said less than half");
    }

    private static async ValueTask ChangeAsync(BlockDevice disk, Random random)
    {
        var offset = random.Next((int)(disk.Length / 512)) * 512L;
        var bytes = new byte[Math.Min(random.Next(1, 8) * 512, disk.Length - offset)];
        random.NextBytes(bytes);
        if (random.Next(5) == 0)
            await disk.TrimAsync(offset, bytes.Length, None);
        else
            await disk.WriteAsync(offset, bytes, WriteFlags.None, None);
    }

    /// <summary>The disk and the files of its points at one instant.</summary>
    private sealed record State(byte[] Disk, List<(string Name, byte[] Bitmap, byte[] Then)> Points)
    {
        public static State Of(TrackingRig rig) => new(
            rig.Content.ToArray(),
            [.. rig.Tracker.Points.Select(point => (point.Name, File.ReadAllBytes(rig.File(point.Name)), rig.Then(point.Name)))]);
    }

    /// <summary>Tells before and after every change.</summary>
    private sealed class SnapshotDisk(BlockDevice inner, Action snapshot) : DelegatingBlockDevice(inner)
    {
        protected override async ValueTask WriteCoreAsync(long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
        {
            snapshot();
            await base.WriteCoreAsync(offset, buffer, flags, cancellationToken);
            snapshot();
        }

        protected override async ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken)
        {
            snapshot();
            await base.TrimCoreAsync(offset, length, cancellationToken);
            snapshot();
        }

        protected override async ValueTask ResizeCoreAsync(long length, CancellationToken cancellationToken)
        {
            snapshot();
            await base.ResizeCoreAsync(length, cancellationToken);
            snapshot();
        }
    }
}
