using Godwit.Nbd.Protocol;
using Godwit.Storage;
using Godwit.Storage.Mirror;
using Godwit.Storage.Tracking;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>godwit:dirty:NAME, seen by libnbd's programs and by our client.</summary>
public sealed class DirtyContextTests : IAsyncDisposable
{
    private const int Granule = 4096;
    private const int Size = (64 * Granule) + 512;
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly Guid Boot = Guid.NewGuid();
    private readonly TempFolder _folder = new();
    private readonly ChangeTracker _tracker = new();
    private readonly SwitchableDisk _disk;
    private readonly ServerUnderTest _server;

    public DirtyContextTests()
    {
        _disk = new SwitchableDisk(new ReferenceDisk(Size), _tracker);
        _server = new ServerUnderTest(null, new NbdExport("disk", _disk) { Changes = _tracker });
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _disk.DisposeAsync();
        _tracker.Dispose();
        _folder.Dispose();
    }

    [Fact(Timeout = 60_000)]
    public async Task Nbdinfo_shows_the_points_and_what_has_changed_since_each()
    {
        await AddAsync("first");
        await WriteAsync(2, 3);
        await AddAsync("second");
        await WriteAsync(10, 1);
        await _disk.WriteAsync(64 * Granule, new byte[512], WriteFlags.None, None);
        var export = (await Tool.RunAsync("nbdinfo", "--json", _server.Uri())).Json().GetProperty("exports")[0];
        Assert.Equal(
            ["base:allocation", "godwit:dirty:first", "godwit:dirty:second", "godwit:layer"],
            export.GetProperty("contexts").EnumerateArray().Select(context => context.GetString()).Order());
        Assert.Equal([(0, 2, 0), (2, 3, 1), (5, 5, 0), (10, 1, 1), (11, 53, 0), (64, 0, 1)], await MapAsync("first"));
        Assert.Equal([(0, 10, 0), (10, 1, 1), (11, 53, 0), (64, 0, 1)], await MapAsync("second"));
    }

    [Fact(Timeout = 60_000)]
    public async Task Every_point_can_be_had_in_one_session_and_an_unknown_one_is_not_chosen()
    {
        for (var i = 0; i < ChangeTracker.MaxPoints; i++)
        {
            await AddAsync($"p{i}");
            await WriteAsync(i * 2, 1);
        }

        const string Script = """
            names = ["base:allocation", "godwit:layer"] + ["godwit:dirty:p%d" % i for i in range(16)]
            for n in names + ["godwit:dirty:none", "godwit:dirty:"]:
                h.add_meta_context(n)
            h.connect_uri(uri)
            assert all(h.can_meta_context(n) for n in names)
            assert not h.can_meta_context("godwit:dirty:none") and not h.can_meta_context("godwit:dirty:")
            seen = {}
            h.block_status(64 * 4096, 0, lambda c, o, e, err: seen.update({c: e}))
            assert len(seen) == 18, seen.keys()
            for i in range(16):
                e = seen["godwit:dirty:p%d" % i]
                assert sum(e[0::2]) == 64 * 4096, e
                assert sum(l for l, s in zip(e[0::2], e[1::2]) if s == 1) == (16 - i) * 4096, e
            one = {}
            h.block_status(64 * 4096, 0, lambda c, o, e, err: one.update({c: e}), nbd.CMD_FLAG_REQ_ONE)
            assert one["godwit:dirty:p5"] == [10 * 4096, 0], one
            print("done")
            """;
        var result = await Tool.RunAsync("nbdsh", "-c", $"uri = '{_server.Uri()}'", "-c", Script);
        Assert.Equal("done", result.Succeeded().Output.Trim());
    }

    [Theory(Timeout = 60_000)]
    [InlineData(NbdHeaderForm.Extended)]
    [InlineData(NbdHeaderForm.Structured)]
    public async Task Our_client_sees_what_has_changed_until_the_point_is_removed_and_then_everything(object form)
    {
        var point = await AddAsync("a");
        await WriteAsync(5, 2);
        await using var device = await OpenAsync("a", (NbdHeaderForm)form);
        Assert.Equal([(0, 5, false), (5, 2, true), (7, 57, false)], await ChangesAsync(device));
        await device.WriteAsync(20 * Granule, new byte[512], WriteFlags.None, None);
        Assert.Equal([(0, 5, false), (5, 2, true), (7, 13, false), (20, 1, true), (21, 43, false)], await ChangesAsync(device));
        Assert.Equal(ExtentKind.Data, (await device.GetExtentAsync(5 * Granule, Granule, None)).Kind);
        await _tracker.RemoveAsync(_disk, point, None);
        Assert.Equal([(0, 64, true)], await ChangesAsync(device));
        Assert.Equal(StorageErrorKind.NotFound, (await Assert.ThrowsAsync<StorageException>(() => OpenAsync("a", (NbdHeaderForm)form))).Kind);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_new_point_of_the_same_name_is_another_one()
    {
        var old = await AddAsync("a");
        await using var before = await OpenAsync("a", NbdHeaderForm.Extended);
        await _tracker.RemoveAsync(_disk, old, None);
        await AddAsync("a");
        await using var after = await OpenAsync("a", NbdHeaderForm.Extended);
        Assert.Equal([(0, 64, true)], await ChangesAsync(before));
        Assert.Equal([(0, 64, false)], await ChangesAsync(after));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_client_that_connected_before_the_disk_grew_sees_its_part_of_it()
    {
        await AddAsync("a");
        await using var device = await OpenAsync("a", NbdHeaderForm.Extended);
        await _disk.ResizeAsync(128 * Granule, None);
        await WriteAsync(100, 1);
        Assert.Equal([(0, 64, false)], await ChangesAsync(device));
        await using var later = await OpenAsync("a", NbdHeaderForm.Extended);
        Assert.Equal([(0, 64, false), (64, 64, true)], await ChangesAsync(later));
    }

    [Fact(Timeout = 60_000)]
    public async Task Without_a_point_there_is_nothing_to_ask_for()
    {
        await using var device = await _server.OpenAsync();
        Assert.Equal(StorageErrorKind.Unsupported, (await Assert.ThrowsAsync<StorageException>(async () => await device.GetChangesAsync(0, 512, None))).Kind);
        var refused = await Assert.ThrowsAsync<StorageException>(() => OpenAsync("a", NbdHeaderForm.Simple));
        Assert.Contains("no point \"a\"", refused.Message, StringComparison.Ordinal);
    }

    private async Task<ChangePoint> AddAsync(string name)
    {
        var point = ChangePoint.Create(name, _folder.File(Guid.NewGuid().ToString("N")), _disk.Length, Boot);
        await _tracker.AddAsync(_disk, point, None);
        return point;
    }

    private async Task WriteAsync(int granule, int count)
    {
        var bytes = new byte[count * Granule];
        Array.Fill(bytes, (byte)7);
        await _disk.WriteAsync((long)granule * Granule, bytes, WriteFlags.None, None);
    }

    private Task<NbdDevice> OpenAsync(string point, NbdHeaderForm form) =>
        _server.OpenAsync("disk", new NbdClientOptions { ChangesSince = point, BestForm = form }).AsTask();

    private async Task<List<(long, long, int)>> MapAsync(string point) =>
        [.. (await Tool.RunAsync("nbdinfo", $"--map=godwit:dirty:{point}", "--json", _server.Uri())).Json().EnumerateArray().Select(run =>
            (run.GetProperty("offset").GetInt64() / Granule, run.GetProperty("length").GetInt64() / Granule, run.GetProperty("type").GetInt32()))];

    /// <summary>The runs in granules, neighbours that are alike joined.</summary>
    private static async Task<List<(long, long, bool)>> ChangesAsync(NbdDevice device)
    {
        var runs = new List<(long First, long Count, bool Changed)>();
        ChangedRun run;
        for (long at = 0; at < device.Length / Granule * Granule; at = run.End)
        {
            run = await device.GetChangesAsync(at, (device.Length / Granule * Granule) - at, None);
            Assert.True(run.Offset == at && run.Length > 0, $"{run}");
            runs.Add((at / Granule, run.Length / Granule, run.Changed));
        }

        return runs;
    }
}
