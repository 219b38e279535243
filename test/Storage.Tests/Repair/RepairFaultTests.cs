using Godwit.Storage.Files;
using Godwit.Storage.Operations;
using Godwit.Storage.Repair;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;
using static Godwit.Storage.Tests.Repair.RepairRig;

namespace Godwit.Storage.Tests.Repair;

/// <summary>Repairs on storage that fails.</summary>
public sealed class RepairFaultTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 20_000)]
    [InlineData(0)]
    [InlineData(600)]
    [InlineData(3000)]
    public async Task Without_room_for_the_undo_file_the_image_is_not_touched(int room)
    {
        var image = (await CreateDirtyAsync()).Copy("dirty.vhdx");
        var original = image.ToArray();
        var undo = new FaultyFile(new MemoryFile(path: "undo"));
        undo.LimitSpace(room);
        var plan = await PlanAsync(image);
        var error = await Assert.ThrowsAsync<StorageException>(() => ApplyAsync(plan, image, undo));
        Assert.Equal(StorageErrorKind.NoSpace, error.Kind);
        Assert.Equal("undo", error.Path);
        Assert.Equal(original, image.ToArray());
    }

    [Theory(Timeout = 20_000)]
    [InlineData(100_000)]
    [InlineData(long.MaxValue)]
    public async Task A_copy_is_sparse_and_without_room_for_it_the_image_is_not_touched(long room)
    {
        var image = (await CreateDirtyAsync()).Copy("dirty.vhdx");
        var original = image.ToArray();
        var content = await ContentAsync(image);
        var copy = new MemoryFile(path: "copy.vhdx");
        var target = new FaultyFile(copy);
        await using (var from = (await PlanAsync(image)).ToDevice())
        {
            await target.SetLengthAsync(from.Length, None);
            target.LimitSpace(room);
            await using var to = WholeFile.Over(target);
            var copying = new DiskCopy(from, to, new CopyOptions());
            if (room < long.MaxValue)
                Assert.Equal(StorageErrorKind.NoSpace, (await Assert.ThrowsAsync<StorageException>(() => copying.RunAsync(None))).Kind);
            else
                await copying.RunAsync(None);
        }

        Assert.Equal(original, image.ToArray());
        if (room < long.MaxValue)
            return;
        Assert.Equal(content, await ContentAsync(copy));
        Assert.InRange(copy.AllocatedBytes, 1, image.AllocatedBytes + MiB);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_failing_flush_of_the_undo_file_leaves_the_image_alone()
    {
        var image = (await CreateDirtyAsync()).Copy("dirty.vhdx");
        var original = image.ToArray();
        var undo = new FaultyFile(new MemoryFile(path: "undo"));
        undo.Fail(FileOperation.Flush, nth: 2);
        await Assert.ThrowsAsync<StorageException>(async () => await ApplyAsync(await PlanAsync(image), image, undo));
        Assert.Equal(original, image.ToArray());
    }

    [Theory(Timeout = 20_000)]
    [InlineData(1)]
    [InlineData(3)]
    public async Task A_failing_write_of_the_image_can_be_put_back(int nth)
    {
        var image = (await CreateDirtyAsync()).Copy("dirty.vhdx");
        var original = image.ToArray();
        var faulty = new FaultyFile(image);
        var undo = new MemoryFile(path: "undo");
        var plan = await PlanAsync(faulty);
        faulty.TearWrite(512, nth);
        await Assert.ThrowsAsync<StorageException>(() => ApplyAsync(plan, faulty, undo));
        Assert.NotEqual(original, image.ToArray());
        await RestoreAsync(image, undo);
        Assert.Equal(original, image.ToArray());
    }

    [Fact(Timeout = 20_000)]
    public async Task An_image_that_was_written_since_is_not_put_back_by_mistake()
    {
        var image = (await CreateDirtyAsync()).Copy("dirty.vhdx");
        var original = image.ToArray();
        var undo = await ApplyAsync(await PlanAsync(image), image);
        await using (var disk = await OpenAsync(image.Reopen()))
            await disk.WriteAsync(0, Pattern(9, 512), WriteFlags.None, None);
        var written = image.ToArray();
        var error = await Assert.ThrowsAsync<StorageException>(() => RestoreAsync(image.Reopen(), undo));
        Assert.Equal(StorageErrorKind.InvalidRequest, error.Kind);
        Assert.Equal(written, image.ToArray());
        await RestoreAsync(image.Reopen(), undo, evenIfChanged: true);
        Assert.NotEqual(written, image.ToArray());
        Assert.Equal(original.Length, image.Length);
    }

    [Fact(Timeout = 20_000)]
    public async Task An_undo_file_of_another_image_is_refused()
    {
        var image = (await CreateDirtyAsync()).Copy("dirty.vhdx");
        var undo = await ApplyAsync(await PlanAsync(image), image);
        var other = await CreateWithContentAsync();
        var before = other.ToArray();
        var error = await Assert.ThrowsAsync<StorageException>(() => RestoreAsync(other, undo));
        Assert.Contains("dirty.vhdx", error.Reason, StringComparison.Ordinal);
        Assert.Equal(before, other.ToArray());
    }

    [Fact(Timeout = 20_000)]
    public async Task A_damaged_undo_file_never_does_harm_outside_what_it_saved()
    {
        var image = (await CreateDirtyAsync()).Copy("dirty.vhdx");
        var original = image.ToArray();
        var undo = await ApplyAsync(await PlanAsync(image), image);
        var random = new Random(4);
        var refused = 0;
        for (var round = 0; round < 20; round++)
        {
            var (target, bad) = (image.Copy(), undo.Copy());
            await PokeAsync(bad, random.NextInt64(random.Next(2) == 0 ? 600 : undo.Length), (byte)random.Next(256));
            try
            {
                await RestoreAsync(target, bad);
            }
            catch (StorageException error) when (error.Kind is StorageErrorKind.Corrupt or StorageErrorKind.Unsupported or StorageErrorKind.InvalidRequest)
            {
                refused++;
            }

            Assert.Equal(original.Length, target.Length);
            var (now, before) = (target.ToArray(), image.ToArray());
            var strange = Enumerable.Range(0, Same(now, before) || Same(now, original) ? 0 : now.Length)
                .Count(at => now[at] != before[at] && now[at] != original[at]);
            Assert.Equal((round, 0), (round, strange));
        }

        Assert.InRange(refused, 12, 20);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_log_larger_than_a_draft_may_be_is_left_to_an_opening()
    {
        var image = (await CreateDirtyAsync()).Copy("dirty.vhdx");
        var work = new RepairWork(new DraftFile(image, maxPages: 2), new RepairOptions());
        await VhdxRepair.RunAsync(work, None);
        var step = Assert.Single(work.Steps);
        Assert.Equal(RepairOutcome.Impossible, step.Outcome);
        Assert.Contains("open the image for writing once", step.Action, StringComparison.Ordinal);
        Assert.Empty((await work.File.ChangesAsync(None)).All);
    }
}
