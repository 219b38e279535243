using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

/// <summary>Crashes at every change of the file while it is compacted, and every way a file can fail: it reads the same each time.</summary>
public sealed class DiskCompactCrashes
{
    [Theory(Timeout = 120_000)]
    [InlineData("vhdx-plain", 1, 1L)]
    [InlineData("vhdx-plain", 2, 3L << 20)]
    [InlineData("vhdx-child", 3, 1L)]
    [InlineData("vhdx-child", 4, 64L << 20)]
    [InlineData("vhd-plain", 5, 1L)]
    [InlineData("vhd-plain", 6, 2L << 20)]
    [InlineData("vhd-child", 7, 1L)]
    public async Task Any_crash_leaves_a_sound_image_that_reads_the_same(string kind, int seed, long batch)
    {
        var rig = await CompactRig.CreateAsync(kind, seed);
        var file = new CrashFile(rig.File, rig.File.Path);
        var result = await rig.CompactAsync(file, batch);
        Assert.True(result.BlocksMoved > 0 && result.LengthAfter < result.LengthBefore, $"{result}");
        await JudgeEverywhereAsync(rig, file);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("vhdx-child")]
    [InlineData("vhd-child")]
    public async Task Any_crash_while_blocks_go_that_the_parent_has_too_leaves_the_same_disk(string kind)
    {
        var rig = await CompactRig.CreateEqualAsync(kind);
        var file = new CrashFile(rig.File, rig.File.Path);
        Assert.Equal(CompactRig.Size, (await rig.CompactAsync(file)).Equal);
        await JudgeEverywhereAsync(rig, file);
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(DiskCompactTests.Kinds), MemberType = typeof(DiskCompactTests))]
    public async Task A_run_after_a_crash_comes_to_the_same_end(string kind)
    {
        var rig = await CompactRig.CreateMovingAsync(kind);
        var file = new CrashFile(rig.File, rig.File.Path);
        var result = await rig.CompactAsync(file, 1);
        for (var events = 0; events <= file.EventCount; events += 9)
        {
            foreach (var image in new[] { file.AfterKill(events), file.AfterPowerCut(events, PowerCut.RandomSubset, events) })
            {
                var again = await rig.CompactAsync(image);
                Assert.Equal(result.LengthAfter, again.LengthAfter);
                await rig.JudgeAsync(image.Reopen(), $"finished after event {events}");
            }
        }
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(DiskCompactTests.Kinds), MemberType = typeof(DiskCompactTests))]
    public async Task Whatever_fails_leaves_a_sound_image_that_reads_the_same(string kind)
    {
        var failures = 0;
        foreach (var operation in new[] { FileOperation.Read, FileOperation.Write, FileOperation.Flush, FileOperation.SetLength, FileOperation.PunchHole })
        {
            for (var nth = 1; nth < 60; nth += nth < 6 ? 1 : 9)
            {
                var rig = await CompactRig.CreateAsync(kind, 9);
                var file = new FaultyFile(rig.File);
                file.Fail(operation, operation == FileOperation.Write && nth % 2 == 0 ? StorageErrorKind.NoSpace : StorageErrorKind.IoFailed, nth);
                try
                {
                    await rig.CompactAsync(file, 1);
                }
                catch (StorageException)
                {
                    failures++;
                }

                await rig.JudgeAsync(rig.File.Reopen(), $"{operation} {nth} failed");
            }
        }

        Assert.True(failures > 10, $"only {failures} runs failed");
    }

    /// <summary>The second block finds no room until the first one's old place is given back: more than one is never needed on top.</summary>
    [Theory(Timeout = 60_000)]
    [MemberData(nameof(DiskCompactTests.Kinds), MemberType = typeof(DiskCompactTests))]
    public async Task No_room_for_a_second_copy_ends_the_batch_and_not_the_run(string kind)
    {
        var rig = await CompactRig.CreateMovingAsync(kind);
        var crash = new CrashFile(rig.File, rig.File.Path);
        var result = await rig.CompactAsync(crash);
        var copies = crash.Events.Where(change => change.Operation == FileOperation.Write && change.Length > 8192).ToList();
        Assert.True(copies.Count >= 2);
        var file = new FaultyFile(rig.File);
        file.Add(new FaultRule(FileOperation.Write) { Error = StorageErrorKind.NoSpace, Nth = 1, Times = 1, Where = (offset, _) => offset == copies[^1].Offset });
        var again = await rig.CompactAsync(file);
        Assert.Equal((result.LengthAfter, result.BlocksMoved), (again.LengthAfter, again.BlocksMoved));
        await rig.JudgeAsync(rig.File.Reopen(), "after the batch ended early");
    }

    [Theory(Timeout = 60_000)]
    [MemberData(nameof(DiskCompactTests.Kinds), MemberType = typeof(DiskCompactTests))]
    public async Task A_full_file_system_costs_nothing_but_the_run(string kind)
    {
        var finished = 0;
        for (var room = 0L; room < 600_000; room += 40_000)
        {
            var rig = await CompactRig.CreateMovingAsync(kind);
            var file = new FaultyFile(rig.File);
            file.Rules.LimitSpace(room);
            try
            {
                await rig.CompactAsync(file);
                finished++;
            }
            catch (StorageException full)
            {
                Assert.True(full.Kind is StorageErrorKind.NoSpace or StorageErrorKind.Closed, full.Message);
            }

            await rig.JudgeAsync(rig.File.Reopen(), $"{room} bytes of room");
        }

        Assert.InRange(finished, 1, 14);
    }

    private static async Task JudgeEverywhereAsync(CompactRig rig, CrashFile file)
    {
        for (var events = 0; events <= file.EventCount; events++)
        {
            await rig.JudgeAsync(file.AfterKill(events), $"killed after event {events}");
            if (events > 0 && file.Events[events - 1].Operation == FileOperation.Flush)
                await rig.JudgeAsync(file.AfterPowerCut(events, PowerCut.FlushedOnly), $"only flushed, after event {events}");
            for (var draw = 0; draw < 2; draw++)
            {
                var chosen = (events * 10) + draw;
                await rig.JudgeAsync(file.AfterPowerCut(events, PowerCut.RandomSubset, chosen), $"random subset {chosen}");
            }

            if (events < file.EventCount)
                await rig.JudgeAsync(file.AfterKillInside(events, events), $"killed inside event {events + 1}");
        }
    }
}
