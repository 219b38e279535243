using Godwit.Storage.Mirror;
using Godwit.Storage.Tracking;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Storage.Tests.Tracking;

/// <summary>A disk in memory whose changes are tracked, and what it held when each point was taken.</summary>
internal sealed class TrackingRig : IAsyncDisposable
{
    public static readonly Guid Boot = Guid.Parse("11111111-2222-3333-4444-555555555555");
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly Dictionary<string, byte[]> _then = [];

    /// <param name="size">Size in bytes.</param>
    /// <param name="inner">Puts something between the disk and its content.</param>
    public TrackingRig(long size, Func<ReferenceDisk, BlockDevice>? inner = null)
    {
        Content = new ReferenceDisk(size);
        Disk = new SwitchableDisk(inner?.Invoke(Content) ?? Content, Tracker);
    }

    public TempFolder Folder { get; } = new();

    public ReferenceDisk Content { get; private set; }

    public ChangeTracker Tracker { get; } = new();

    public SwitchableDisk Disk { get; }

    public string File(string point) => Folder.File(point + ".changes");

    /// <summary>What the disk held when a point was taken.</summary>
    public byte[] Then(string point) => _then[point];

    public async Task<ChangePoint> AddAsync(string name)
    {
        var point = ChangePoint.Create(name, File(name), Disk.Length, Boot);
        await Tracker.AddAsync(Disk, point, None);
        _then[name] = Content.ToArray();
        return point;
    }

    public async Task RemoveAsync(string name)
    {
        await Tracker.RemoveAsync(Disk, Find(name), None);
        Assert.False(System.IO.File.Exists(File(name)));
        _then.Remove(name);
    }

    public ChangePoint Find(string name) => Tracker.Points.Single(each => each.Name == name);

    /// <summary>Goes on with a copy of the content, as after a storage move.</summary>
    public async Task SwitchAsync()
    {
        var next = new ReferenceDisk(Content.Length);
        await Disk.ReplaceAsync(
            async (_, _) =>
            {
                await next.WriteAsync(0, Content.ToArray(), WriteFlags.None, None);
                return next;
            },
            None);
        Content = next;
    }

    /// <summary>Every byte that is not what it was is in a run that may have changed.</summary>
    public static void AssertCovers(ChangePoint point, byte[] then, byte[] now, string where)
    {
        long end;
        for (long at = 0; at < now.Length; at = end)
        {
            end = point.RunEnd(at, now.Length, out var changed);
            Assert.True(end > at, $"{where}: a run at {at} is empty");
            if (changed)
                continue;
            Assert.True(end <= then.Length, $"{where}: what came in growing is not marked at {at}");
            Assert.True(now.AsSpan((int)at, (int)(end - at)).SequenceEqual(then.AsSpan((int)at, (int)(end - at))), $"{where}: changed and not marked in {at}..{end}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Disk.DisposeAsync();
        Tracker.Dispose();
        Folder.Dispose();
    }
}
