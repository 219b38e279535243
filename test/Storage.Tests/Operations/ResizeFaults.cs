using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Operations.ResizeSample;

namespace Godwit.Storage.Tests.Operations;

/// <summary>A file that fails in the middle of a resize: the error is told, the disk has the old size or the new one, and a later run
/// finishes.</summary>
public sealed class ResizeFaults
{
    private const int OldSize = 4 * MiB;
    private const int NewSize = (2 * MiB) + 4096;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 120_000)]
    [InlineData(ImageFormat.Raw)]
    [InlineData(ImageFormat.VhdFixed)]
    [InlineData(ImageFormat.VhdDynamic)]
    [InlineData(ImageFormat.VhdDifferencing)]
    [InlineData(ImageFormat.VhdxFixed)]
    [InlineData(ImageFormat.VhdxDynamic)]
    [InlineData(ImageFormat.VhdxDifferencing)]
    public async Task A_shrink_whose_file_fails_anywhere_is_finished_later(ImageFormat format)
    {
        var (start, content) = await CreateWrittenAsync(format, OldSize);
        var failures = await FailEverywhereAsync(
            start,
            file => LayerFormats.ShrinkAsync(file, format, NewSize, None),
            async image =>
            {
                await using (var disk = await OpenAsync(image.Reopen(readOnly: true), format, OldSize))
                {
                    Assert.True(disk.Length is OldSize or NewSize);
                    Assert.Equal(content[..NewSize], await ReadAsync(disk, 0, NewSize));
                }

                await LayerFormats.ShrinkAsync(image.Reopen(), format, NewSize, None);
                await using (var disk = await OpenAsync(image.Reopen(readOnly: true), format, OldSize))
                    Assert.Equal(content[..NewSize], await ReadAsync(disk, 0, disk.Length));
                await AssertSoundAsync(image.Reopen(readOnly: true), format, "after a fault");
            });
        Assert.True(failures > 1, $"{failures} failures");
    }

    [Theory(Timeout = 120_000)]
    [InlineData(ImageFormat.VhdDynamic, 64, 2000)]
    [InlineData(ImageFormat.VhdxDynamic, 131_000, 132_000)]
    public async Task A_table_move_whose_file_fails_anywhere_is_finished_later(ImageFormat format, int oldMiB, int newMiB)
    {
        var start = await CreateAsync(format, (long)oldMiB * MiB);
        await using (var disk = await OpenAsync(start.Reopen(), format))
            await disk.WriteAsync(40 * MiB, Pattern(1, 8192), WriteFlags.None, None);
        var failures = await FailEverywhereAsync(
            start,
            file => LayerFormats.PrepareGrowthAsync(file, format, (long)newMiB * MiB, None),
            async image =>
            {
                await LayerFormats.PrepareGrowthAsync(image.Reopen(), format, (long)newMiB * MiB, None);
                await using (var disk = await OpenAsync(image.Reopen(), format))
                {
                    await disk.ResizeAsync((long)newMiB * MiB, None);
                    Assert.Equal(Pattern(1, 8192), await ReadAsync(disk, 40 * MiB, 8192));
                }

                await AssertSoundAsync(image.Reopen(readOnly: true), format, "after a fault");
            });
        Assert.True(failures > 3, $"{failures} failures");
    }

    [Fact(Timeout = 60_000)]
    public async Task A_fixed_growth_whose_file_fails_anywhere_is_finished_later()
    {
        var (start, content) = await CreateWrittenAsync(ImageFormat.VhdxFixed, NewSize);
        await FailEverywhereAsync(
            start,
            file => VhdxFixedGrowth.RunAsync(file, OldSize, static (_, _) => { }, None),
            async image =>
            {
                await VhdxFixedGrowth.RunAsync(image.Reopen(), OldSize, static (_, _) => { }, None);
                var report = await VhdxCheck.RunAsync(image.Reopen(readOnly: true), None);
                Assert.True(report is { Errors: 0, Warnings: 0, AllocatedBlocks: 4 }, string.Join("; ", report.Findings));
                await using var disk = await OpenAsync(image.Reopen(readOnly: true), ImageFormat.VhdxFixed);
                Assert.Equal(content, (await ReadAsync(disk, 0, OldSize))[..NewSize]);
            });
    }

    [Theory(Timeout = 60_000)]
    [InlineData(ImageFormat.VhdxFixed, 8, 80)]
    [InlineData(ImageFormat.VhdxDynamic, 131_000, 132_000)]
    [InlineData(ImageFormat.VhdDynamic, 64, 2000)]
    public async Task A_full_file_system_leaves_the_file_as_long_as_it_was(ImageFormat format, int oldMiB, int newMiB)
    {
        var start = await CreateAsync(format, (long)oldMiB * MiB);
        await using (var disk = await OpenAsync(start.Reopen(), format))
            await disk.WriteAsync(0, Pattern(1, 8192), WriteFlags.None, None);
        var image = start.Copy();
        var file = new FaultyFile(image.Reopen());
        file.LimitSpace(0);
        var error = await Assert.ThrowsAsync<StorageException>(async () =>
        {
            if (format == ImageFormat.VhdxFixed)
                await VhdxFixedGrowth.RunAsync(file, (long)newMiB * MiB, static (_, _) => { }, None);
            else
                await LayerFormats.PrepareGrowthAsync(file, format, (long)newMiB * MiB, None);
        });
        Assert.Equal(StorageErrorKind.NoSpace, error.Kind);
        Assert.Equal(start.Length, image.Length);
        await using var again = await OpenAsync(image.Reopen(), format);
        Assert.Equal((long)oldMiB * MiB, again.Length);
        Assert.Equal(Pattern(1, 8192), await ReadAsync(again, 0, 8192));
    }

    private static async Task<(MemoryFile File, byte[] Content)> CreateWrittenAsync(ImageFormat format, int size)
    {
        var start = await CreateAsync(format, size);
        await using var disk = await OpenAsync(start.Reopen(), format, size);
        await disk.WriteAsync(size - MiB, Pattern(1, MiB), WriteFlags.None, None);
        await disk.WriteAsync(0, Pattern(2, MiB + 8192), WriteFlags.None, None);
        return (start, await ReadAsync(disk, 0, size));
    }

    /// <summary>Fails each change of the file in turn, for good from there on, as a broken device does.</summary>
    internal static async Task<int> FailEverywhereAsync(MemoryFile start, Func<FaultyFile, ValueTask> run, Func<MemoryFile, Task> verify)
    {
        var failures = 0;
        foreach (var operation in new[]
        {
            FileOperation.Write, FileOperation.Flush, FileOperation.SetLength, FileOperation.PunchHole, FileOperation.AllocateZeroes,
        })
        {
            for (var nth = 1; ; nth++)
            {
                var image = start.Copy();
                var file = new FaultyFile(image.Reopen());
                file.Fail(operation, nth: nth, times: int.MaxValue);
                var failed = false;
                try
                {
                    await run(file);
                }
                catch (StorageException)
                {
                    failed = true;
                    failures++;
                }

                await verify(image);
                if (!failed)
                    break;
            }
        }

        return failures;
    }
}
