using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Repair;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;
using static Godwit.Storage.Tests.Repair.RepairRig;

namespace Godwit.Storage.Tests.Repair;

/// <summary>A file that ends inside its block allocation table.</summary>
public sealed class VhdxCutTableTests
{
    private const long Size = 132_000L * MiB;
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly int[] Written = [0, 7, 33, 900, 131_000];

    [Theory(Timeout = 60_000)]
    [InlineData(0)]
    [InlineData(5)]
    public async Task Blocks_whose_entries_are_left_are_kept_and_the_others_are_listed(int partOfEntry)
    {
        var image = await CreateAsync();
        var bat = await TableOfAsync(image);
        await image.SetLengthAsync(bat.Offset + (500 * 8) + partOfEntry, None);
        var damaged = image.ToArray();
        Assert.False((await CheckAsync(image)).IsSound);
        var careful = await PlanAsync(image);
        Assert.True(careful.NeedsLossy);
        Assert.False(careful.ChangesFile);

        var plan = await PlanAsync(image, lossy: true);
        Assert.Contains("inside its block allocation table", plan.Steps[0].Problem, StringComparison.Ordinal);
        Assert.Equal([new GuestRange(500L * MiB, Size - (500L * MiB))], plan.Steps.SelectMany(step => step.Lost));
        var undo = await ApplyAsync(plan, image);
        var report = await CheckAsync(image);
        Assert.True(report is { Errors: 0, Warnings: 0, AllocatedBlocks: 3 }, string.Join("; ", report.Findings));
        await using (var disk = await OpenAsync(image.Reopen(readOnly: true), readOnly: true))
        {
            foreach (var block in Written)
                Assert.Equal(block < 500 ? Pattern(block + 1, 8192) : new byte[8192], await ReadAsync(disk, (long)block * MiB, 8192));
        }

        Assert.False((await PlanAsync(image, lossy: true)).ChangesFile);
        await RestoreAsync(image, undo);
        Assert.True(Same(damaged, image.ToArray()), "the undo file does not bring the old bytes back");
    }

    [Fact(Timeout = 60_000)]
    public async Task Where_all_blocks_were_behind_the_table_nothing_is_promised()
    {
        var image = await CreateWithContentAsync();
        await image.SetLengthAsync(BatOffset + 5000, None);
        var plan = await PlanAsync(image, lossy: true);
        Assert.False(plan.ChangesFile);
        var step = Assert.Single(plan.Steps, step => step.Outcome == RepairOutcome.Impossible);
        Assert.Contains("no block that the rest of it names is in the file", step.Problem, StringComparison.Ordinal);
        Assert.Contains("backup", step.Action, StringComparison.Ordinal);
    }

    private static async Task<VhdxRegion> TableOfAsync(MemoryFile image)
    {
        var front = await VhdxImage.OpenFrontAsync(image, readOnly: true, new VhdxOpenOptions(), VhdxFindings.Strict(image), None);
        return front.Regions.Bat;
    }

    /// <summary>A disk that has grown, so that its table stands behind its blocks.</summary>
    private static async Task<MemoryFile> CreateAsync()
    {
        var file = new MemoryFile(path: "cut.vhdx");
        await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = Size - (1000L * MiB), BlockSize = MiB }, None);
        await using (var disk = await OpenAsync(file.Reopen()))
        {
            foreach (var block in Written)
                await disk.WriteAsync((long)Math.Min(block, 130_999) * MiB, Pattern(block + 1, 8192), WriteFlags.None, None);
        }

        await LayerFormats.PrepareGrowthAsync(file.Reopen(), ImageFormat.VhdxDynamic, Size, None);
        await using (var disk = await OpenAsync(file.Reopen()))
            await disk.ResizeAsync(Size, None);
        return file.Reopen();
    }
}
