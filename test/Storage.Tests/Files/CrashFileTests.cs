using Godwit.Storage.Files;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Files;

/// <summary>The crash file must tell the truth, or every crash test built on it is worth nothing.</summary>
public sealed class CrashFileTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Only_what_was_flushed_before_is_certain_after_a_power_cut()
    {
        var file = await WrittenAsync();
        Assert.Equal([], file.AfterPowerCut(1, PowerCut.FlushedOnly).ToArray());
        Assert.Equal(Filled(1, 1024), file.AfterPowerCut(2, PowerCut.FlushedOnly).ToArray());
        Assert.Equal(Filled(1, 1024), file.AfterPowerCut(4, PowerCut.FlushedOnly).ToArray());
        Assert.Equal(Filled(3, 1024), file.AfterPowerCut(4, PowerCut.Everything).ToArray());
        Assert.Equal(Filled(3, 1024), file.AfterPowerCut(5, PowerCut.FlushedOnly).ToArray());

        // Going back works too.
        Assert.Equal(Filled(2, 1024), file.AfterKill(3).ToArray());
    }

    [Fact]
    public async Task A_random_power_cut_leaves_each_sector_as_it_was_at_some_time_since_the_flush()
    {
        var file = await WrittenAsync();
        var seen = new HashSet<(byte, byte)>();
        for (var seed = 0; seed < 300; seed++)
        {
            var content = file.AfterPowerCut(4, PowerCut.RandomSubset, seed).ToArray();
            Assert.Equal(1024, content.Length);
            for (var sector = 0; sector < 2; sector++)
                Assert.Single(content.AsSpan(sector * 512, 512).ToArray().Distinct());
            seen.Add((content[0], content[512]));
        }

        // Every combination of the flushed content 1 and the later ones 2 and 3 can happen.
        Assert.Equal(9, seen.Count);
        Assert.DoesNotContain(seen, pair => pair.Item1 is 0 or > 3 || pair.Item2 is 0 or > 3);
    }

    [Fact]
    public async Task Every_power_cut_keeps_each_subset_of_the_changes_once()
    {
        var file = await WrittenAsync();
        await file.WriteAsync(512, Filled(4, 512), None);
        Assert.Equal(
            [1, 2, 3, 3],
            file.AfterEveryPowerCut(4).Select(static state => (int)state.File.ToArray()[0]));
        Assert.Equal([3, 4], file.AfterEveryPowerCut(6).Select(static state => (int)state.File.ToArray()[1023]));
    }

    [Fact]
    public async Task The_same_seed_gives_the_same_state()
    {
        var file = await WrittenAsync();
        Assert.Equal(
            file.AfterPowerCut(4, PowerCut.RandomSubset, 7).ToArray(), file.AfterPowerCut(4, PowerCut.RandomSubset, 7).ToArray());
    }

    [Fact]
    public async Task A_kill_inside_a_write_tears_only_that_write()
    {
        var file = await WrittenAsync();
        var torn = 0;
        for (var seed = 0; seed < 50; seed++)
        {
            var content = file.AfterKillInside(3, seed).ToArray();
            Assert.DoesNotContain(content, b => b is not (2 or 3));
            torn += content[0] != content[512] ? 1 : 0;
        }

        Assert.InRange(torn, 1, 49);
    }

    [Fact]
    public async Task A_write_made_during_a_flush_is_not_covered_by_it()
    {
        var file = new CrashFile { FlushesYield = true };
        await file.WriteAsync(0, Filled(1, 512), None);
        var covered = file.EventCount;
        var flush = file.FlushAsync(None);
        await file.WriteAsync(0, Filled(2, 512), None);
        await flush;
        var last = Assert.Single(file.Events, e => e.Operation == FileOperation.Flush);
        Assert.Equal(covered, last.Offset);
        Assert.Equal(Filled(1, 512), file.AfterPowerCut(file.EventCount, PowerCut.FlushedOnly).ToArray());
    }

    [Fact]
    public async Task A_cut_and_a_hole_that_were_not_flushed_may_come_back()
    {
        var file = new CrashFile(new MemoryFile(Filled(1, 8192)));
        await file.PunchHoleAsync(0, 4096, None);
        await file.SetLengthAsync(4096, None);
        var lengths = new HashSet<long>();
        var first = new HashSet<byte>();
        for (var seed = 0; seed < 100; seed++)
        {
            var content = file.AfterPowerCut(2, PowerCut.RandomSubset, seed).ToArray();
            lengths.Add(content.Length);
            first.Add(content[0]);
        }

        Assert.True(lengths.SetEquals([4096, 8192]));
        Assert.True(first.SetEquals([0, 1]));
    }

    [Fact]
    public async Task A_crash_image_is_a_file_of_its_own()
    {
        var file = await WrittenAsync();
        var image = file.AfterKill(5);
        await image.WriteAsync(0, Filled(9, 512), None);
        Assert.Equal(Filled(3, 1024), file.AfterKill(5).ToArray());
        var content = new byte[1024];
        await file.ReadAsync(0, content, None);
        Assert.Equal(Filled(3, 1024), content);
    }

    /// <summary>Events: write 1, flush, write 2, write 3, flush.</summary>
    private static async Task<CrashFile> WrittenAsync()
    {
        IStorageFile file = new CrashFile();
        await file.WriteAsync(0, Filled(1, 1024), None);
        await file.FlushAsync(None);
        await file.WriteAsync(0, Filled(2, 1024), None);
        await file.WriteAsync(0, Filled(3, 1024), None);
        await file.FlushAsync(None);
        return (CrashFile)file;
    }

    private static byte[] Filled(byte value, int count)
    {
        var bytes = new byte[count];
        Array.Fill(bytes, value);
        return bytes;
    }
}
