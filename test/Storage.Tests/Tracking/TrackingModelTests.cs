using Xunit;

namespace Godwit.Storage.Tests.Tracking;

/// <summary>Points come and go while writers, a grower and switches are at work: no point ever says too little.</summary>
public sealed class TrackingModelTests
{
    private const int Size = (1 << 20) + 1536;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 120_000)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Whatever_differs_from_what_a_point_saw_is_marked(int seed)
    {
        await using var rig = new TrackingRig(Size);
        var random = new Random(seed);
        var number = 0;
        for (var step = 0; step < 400; step++)
        {
            switch (random.Next(14))
            {
                case 0 when rig.Tracker.Points.Count < 5:
                    await rig.AddAsync($"p{number++}");
                    break;
                case 1 when rig.Tracker.Points.Count > 0:
                    await rig.RemoveAsync(rig.Tracker.Points[random.Next(rig.Tracker.Points.Count)].Name);
                    break;
                case 2:
                    await rig.SwitchAsync();
                    break;
                case 3 when rig.Disk.Length < 2 * Size:
                    await rig.Disk.ResizeAsync(rig.Disk.Length + (512 * random.Next(40)), None);
                    break;
                case 4:
                    await rig.Disk.ReadAsync(0, new byte[4096], None);
                    break;
                default:
                    await ChangeAsync(rig.Disk, random);
                    break;
            }

            AssertAll(rig, $"seed {seed}, step {step}");
        }
    }

    [Theory(Timeout = 120_000)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task It_holds_while_several_write_at_once(int seed)
    {
        await using var rig = new TrackingRig(Size, content => new YieldingDisk(content));
        using var stop = new CancellationTokenSource();
        var writers = Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
        {
            var random = new Random((seed * 100) + writer);
            while (!stop.IsCancellationRequested)
                await ChangeAsync(rig.Disk, random);
        })).ToList();
        var then = new Dictionary<string, byte[]>();
        for (var round = 0; round < 40; round++)
        {
            // Nothing is under way in the pause that follows: what the disk holds there is what the point may miss at most.
            var name = $"p{round}";
            await rig.AddAsync(name);
            await rig.Disk.PauseAsync(_ => then[name] = rig.Content.ToArray(), None);
            await Task.Yield();
            await rig.Disk.PauseAsync(
                _ =>
                {
                    foreach (var point in rig.Tracker.Points)
                        TrackingRig.AssertCovers(point, then[point.Name], rig.Content.ToArray(), $"seed {seed}, {point.Name}");
                },
                None);
            if (rig.Tracker.Points.Count > 4)
                await rig.RemoveAsync(rig.Tracker.Points[0].Name);
        }

        await stop.CancelAsync();
        await Task.WhenAll(writers);
    }

    private static void AssertAll(TrackingRig rig, string where)
    {
        var now = rig.Content.ToArray();
        foreach (var point in rig.Tracker.Points)
            TrackingRig.AssertCovers(point, rig.Then(point.Name), now, $"{where}, {point.Name}");
    }

    private static async ValueTask ChangeAsync(BlockDevice disk, Random random)
    {
        var offset = random.Next((int)(disk.Length / 512)) * 512L;
        var length = (int)Math.Min(random.Next(1, 24) * 512, disk.Length - offset);
        switch (random.Next(6))
        {
            case 0:
                await disk.TrimAsync(offset, length, None);
                break;
            case 1:
                await disk.WriteZeroesAsync(offset, length, WriteFlags.None, None);
                break;
            default:
                var bytes = new byte[length];
                random.NextBytes(bytes);
                await disk.WriteAsync(offset, bytes, WriteFlags.None, None);
                break;
        }
    }

    /// <summary>Lets others run between the mark and the change.</summary>
    private sealed class YieldingDisk(BlockDevice inner) : DelegatingBlockDevice(inner)
    {
        protected override async ValueTask WriteCoreAsync(long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
        {
            await Task.Yield();
            await base.WriteCoreAsync(offset, buffer, flags, cancellationToken);
        }
    }
}
