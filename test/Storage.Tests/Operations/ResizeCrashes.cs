using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Operations.ResizeSample;

namespace Godwit.Storage.Tests.Operations;

/// <summary>A resize that is cut off after any event leaves the old size or the new one, every byte that both have, and an image that
/// the same command finishes.</summary>
public sealed class ResizeCrashes
{
    private const int OldSize = 4 * MiB;
    private const int NewSize = (2 * MiB) + 4096;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 120_000)]
    [InlineData(ImageFormat.Raw, 512)]
    [InlineData(ImageFormat.VhdFixed, 512)]
    [InlineData(ImageFormat.VhdDynamic, 512)]
    [InlineData(ImageFormat.VhdDifferencing, 512)]
    [InlineData(ImageFormat.VhdxFixed, 512)]
    [InlineData(ImageFormat.VhdxDynamic, 512)]
    [InlineData(ImageFormat.VhdxDynamic, 4096)]
    [InlineData(ImageFormat.VhdxDifferencing, 512)]
    [InlineData(ImageFormat.VhdxDifferencing, 4096)]
    public async Task A_disk_that_shrinks_is_the_old_one_or_the_new_one(ImageFormat format, int sector)
    {
        var start = await CreateAsync(format, OldSize, sector);
        byte[] content;
        await using (var disk = await OpenAsync(start.Reopen(), format, OldSize, sector))
        {
            // Whole blocks, parts of blocks, the block at the new end, and blocks behind it in front of others in the file.
            foreach (var (at, length) in new[] { (3 * MiB, 8192), (2 * MiB, MiB), (0, 12288) })
                await disk.WriteAsync(at, Pattern(at + 1, length), WriteFlags.None, None);
            content = await ReadAsync(disk, 0, OldSize);
        }

        var file = new CrashFile(start.Reopen());
        await LayerFormats.ShrinkAsync(file, format, NewSize, None);
        var sizes = new HashSet<long>();
        var images = 0;
        for (var events = 0; events <= file.EventCount; events++)
        {
            foreach (var (image, what) in ImagesAfter(file, events))
            {
                await using (var disk = await OpenAsync(image.Reopen(readOnly: true), format, OldSize, sector))
                {
                    sizes.Add(disk.Length);
                    Assert.True(disk.Length is OldSize or NewSize, $"{what}: {disk.Length} bytes");
                    var kept = await ReadAsync(disk, 0, NewSize);
                    AssertStartsWith(content.AsSpan(0, NewSize), kept, what);
                }

                // Every second one: which ones those are changes from event to event.
                if (images++ % 2 != 0)
                    continue;
                await LayerFormats.ShrinkAsync(image.Reopen(), format, NewSize, None);
                await AssertSoundAsync(image.Reopen(readOnly: true), format, what);
                if (events % 4 == 0)
                    await UseAsync(image, format, sector, content, what);
            }
        }

        Assert.Equal(2, sizes.Count);
        await AssertSoundAsync(file, format, "the whole run");
    }

    [Theory(Timeout = 120_000)]
    [InlineData(ImageFormat.VhdDynamic, 64, 300)]
    [InlineData(ImageFormat.VhdDynamic, 64, 2000)]
    [InlineData(ImageFormat.VhdDifferencing, 64, 2000)]
    [InlineData(ImageFormat.VhdxDynamic, 131_000, 132_000)]
    [InlineData(ImageFormat.VhdxDifferencing, 126_000, 132_000)]
    public async Task A_table_that_moves_is_whole_in_one_place_or_the_other(ImageFormat format, int oldMiB, int newMiB)
    {
        var images = 0;
        var start = await CreateAsync(format, (long)oldMiB * MiB);
        int[] written = [0, 7, 33, oldMiB - 1];
        await using (var disk = await OpenAsync(start.Reopen(), format, MiB))
        {
            foreach (var at in written)
                await disk.WriteAsync((long)at * MiB, Pattern(at, 8192), WriteFlags.None, None);
            await Assert.ThrowsAsync<StorageException>(() => disk.ResizeAsync((long)newMiB * MiB, None).AsTask());
        }

        var file = new CrashFile(start.Reopen());
        await LayerFormats.PrepareGrowthAsync(file, format, (long)newMiB * MiB, None);
        Assert.True(file.EventCount > 1);
        for (var events = 0; events <= file.EventCount; events++)
        {
            foreach (var (image, what) in ImagesAfter(file, events))
            {
                await using (var disk = await OpenAsync(image.Reopen(readOnly: true), format, MiB))
                    await AssertWrittenAsync(disk, what);
                if (images++ % 2 != 0)
                    continue;
                await LayerFormats.PrepareGrowthAsync(image.Reopen(), format, (long)newMiB * MiB, None);
                await using (var disk = await OpenAsync(image.Reopen(), format, MiB))
                {
                    await disk.ResizeAsync((long)newMiB * MiB, None);
                    await disk.WriteAsync(((long)newMiB * MiB) - 8192, Pattern(5, 8192), WriteFlags.None, None);
                    await AssertWrittenAsync(disk, what);
                }

                await AssertSoundAsync(image.Reopen(readOnly: true), format, what);
                await using var again = await OpenAsync(image.Reopen(readOnly: true), format, MiB);
                await AssertWrittenAsync(again, what);
                Assert.Equal(Pattern(5, 8192), await ReadAsync(again, ((long)newMiB * MiB) - 8192, 8192));
            }
        }

        async Task AssertWrittenAsync(BlockDevice disk, string what)
        {
            foreach (var at in written)
            {
                var found = await ReadAsync(disk, (long)at * MiB, 8192);
                AssertStartsWith(Pattern(at, 8192), found, $"{what}: MiB {at}");
            }
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task A_fixed_vhdx_that_grows_is_the_old_one_or_the_new_one_and_has_all_its_blocks_in_the_end()
    {
        var start = await CreateAsync(ImageFormat.VhdxFixed, NewSize);
        var content = Pattern(3, NewSize);
        await using (var disk = await OpenAsync(start.Reopen(), ImageFormat.VhdxFixed))
            await disk.WriteAsync(0, content, WriteFlags.None, None);
        var file = new CrashFile(start.Reopen());
        await VhdxFixedGrowth.RunAsync(file, OldSize, static (_, _) => { }, None);
        var sizes = new HashSet<long>();
        for (var events = 0; events <= file.EventCount; events++)
        {
            foreach (var (image, what) in ImagesAfter(file, events))
            {
                await using (var disk = await OpenAsync(image.Reopen(readOnly: true), ImageFormat.VhdxFixed))
                {
                    sizes.Add(disk.Length);
                    var found = await ReadAsync(disk, 0, disk.Length);
                    Assert.True(found.AsSpan(0, NewSize).SequenceEqual(content), what);
                    Assert.False(found.AsSpan(NewSize).ContainsAnyExcept((byte)0), what);
                }

                await VhdxFixedGrowth.RunAsync(image.Reopen(), OldSize, static (_, _) => { }, None);
                var report = await VhdxCheck.RunAsync(image.Reopen(readOnly: true), None);
                Assert.True(report is { Errors: 0, Warnings: 0, AllocatedBlocks: 4 }, $"{what}: {string.Join("; ", report.Findings)}");
                Assert.Equal((4 + 4) * MiB, image.Length);
            }
        }

        Assert.Equal(2, sizes.Count);
    }

    private static void AssertStartsWith(ReadOnlySpan<byte> expected, byte[] found, string what) =>
        Assert.True(found.AsSpan().StartsWith(expected), what);

    /// <summary>What is left is a disk like any other: it grows again where it may, zero in the new part, and takes writes to its end.</summary>
    private static async Task UseAsync(MemoryFile image, ImageFormat format, int sector, byte[] content, string what)
    {
        await using var disk = await OpenAsync(image.Reopen(), format, NewSize / 8192 * 8192, sector);
        Assert.Equal(NewSize, disk.Length);
        var found = await ReadAsync(disk, 0, NewSize - 4096);
        Assert.True(found.AsSpan().SequenceEqual(content.AsSpan(0, NewSize - 4096)), what);
        await disk.WriteAsync(NewSize - 4096, content.AsMemory(NewSize - 4096, 4096), WriteFlags.None, None);
        if (!disk.Capabilities.CanResize)
            return;
        await disk.ResizeAsync(OldSize, None);
        found = await ReadAsync(disk, 0, OldSize);
        Assert.True(found.AsSpan(0, NewSize).SequenceEqual(content.AsSpan(0, NewSize)), what);
        Assert.False(found.AsSpan(NewSize).ContainsAnyExcept((byte)0), $"{what}: what was cut off is back");
    }
}
