using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Repair;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;
using static Godwit.Storage.Tests.Repair.RepairRig;

namespace Godwit.Storage.Tests.Repair;

/// <summary>Damage of a VHDX outside its block table, one kind after the other.</summary>
public sealed class VhdxRepairTests
{
    private const int FirstHeader = 64 << 10;
    private const int SecondHeader = 128 << 10;
    private const int FirstRegions = 192 << 10;
    private const int SecondRegions = 256 << 10;

    [Fact(Timeout = 20_000)]
    public async Task A_sound_image_is_left_alone()
    {
        var image = await CreateWithContentAsync();
        var plan = await PlanAsync(image, lossy: true);
        Assert.Empty(plan.Steps);
        Assert.False(plan.ChangesFile);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_dirty_log_is_replayed()
    {
        var image = (await CreateDirtyAsync()).Copy("dirty.vhdx");
        await RepairsAsync(image, await ContentAsync(image), "the log holds changes");
    }

    [Theory(Timeout = 20_000)]
    [InlineData(FirstHeader)]
    [InlineData(SecondHeader)]
    public async Task One_header_is_written_again_from_the_other(int offset)
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await PokeAsync(image, offset + 20, 1, 2, 3);
        await RepairsAsync(image, content, "one header is damaged");
    }

    [Fact(Timeout = 20_000)]
    public async Task A_dirty_log_behind_one_good_header_is_replayed()
    {
        var image = (await CreateDirtyAsync()).Copy("dirty.vhdx");
        var content = await ContentAsync(image);
        await PokeAsync(image, FirstHeader, new byte[4096]);
        await RepairsAsync(image, content, "one header is damaged");
    }

    [Theory(Timeout = 20_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Both_headers_are_written_anew_with_permission(bool blank)
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        foreach (var offset in new[] { FirstHeader, SecondHeader })
            await PokeAsync(image, offset + (blank ? 0 : 20), new byte[blank ? 4096 : 3]);
        var refused = await PlanAsync(image);
        Assert.Equal(RepairOutcome.NeedsLossy, Assert.Single(refused.Steps).Outcome);
        Assert.False(refused.ChangesFile);
        var plan = await RepairsAsync(image, content, "both headers are damaged", lossy: true);
        Assert.Equal(blank, plan.Steps[0].Action.Contains("set-parent", StringComparison.Ordinal));
    }

    [Fact(Timeout = 20_000)]
    public async Task Both_headers_damaged_still_lead_to_their_log()
    {
        var image = (await CreateDirtyAsync()).Copy("dirty.vhdx");
        var content = await ContentAsync(image);
        await PokeAsync(image, FirstHeader + 4090, 1);
        await PokeAsync(image, SecondHeader + 4090, 1);
        var plan = await RepairsAsync(image, content, "both headers are damaged", lossy: true);
        Assert.Contains("replayed", plan.Steps[0].Action, StringComparison.Ordinal);
    }

    [Fact(Timeout = 20_000)]
    public async Task Headers_of_one_age_that_agree_on_the_log_need_no_permission()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        var header = VhdxHeader.TryParse(await PeekAsync(image, FirstHeader, 4096), out _)!;
        await PokeAsync(image, SecondHeader, (header with { FileWriteGuid = Guid.NewGuid() }).ToBytes());
        await RepairsAsync(image, content, "both headers have the sequence number");
    }

    [Theory(Timeout = 20_000)]
    [InlineData(FirstRegions)]
    [InlineData(SecondRegions)]
    public async Task One_region_table_is_written_again_from_the_other(int offset)
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await PokeAsync(image, offset + 20, 1, 2, 3);
        await RepairsAsync(image, content, "region table is damaged");
    }

    [Fact(Timeout = 20_000)]
    public async Task Region_tables_that_differ_become_equal()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await RewriteAsync(image, SecondRegions, 64 << 10, bytes => bytes[5000] = 1);
        await RepairsAsync(image, content, "the two region tables differ");
    }

    [Theory(Timeout = 20_000)]
    [InlineData(3)]
    [InlineData(64 << 10)]
    public async Task Both_region_tables_are_found_again_with_permission(int length)
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await PokeAsync(image, FirstRegions + (length == 3 ? 4 : 0), new byte[length]);
        await PokeAsync(image, SecondRegions + (length == 3 ? 4 : 0), new byte[length]);
        Assert.Equal(RepairOutcome.NeedsLossy, Assert.Single((await PlanAsync(image)).Steps).Outcome);
        await RepairsAsync(image, content, "both region tables are damaged", lossy: true);
    }

    [Fact(Timeout = 20_000)]
    public async Task The_signature_is_written_again()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await PokeAsync(image, 0, new byte[512]);
        await RepairsAsync(image, content, "this is not a VHDX file");
    }

    [Theory(Timeout = 20_000)]
    [InlineData(0, "metadata")]
    [InlineData(10, "is missing")]
    public async Task Signature_and_count_of_the_metadata_are_written_again(int at, string finding)
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await PokeAsync(image, MetadataOffset + at, 0, 0);
        await RepairsAsync(image, content, finding);
    }

    [Fact(Timeout = 20_000)]
    public async Task An_impossible_physical_sector_size_is_replaced_with_permission()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await PokeAsync(image, MetadataOffset + (64 << 10) + 36, 77);
        await RepairsAsync(image, content, "the physical sector size", lossy: true);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(0, "block size")]
    [InlineData(32, "logical sector size")]
    public async Task What_stands_in_one_place_only_is_said_to_be_gone(int at, string problem)
    {
        var image = await CreateWithContentAsync();
        await PokeAsync(image, MetadataOffset + (64 << 10) + at, 77);
        var plan = await PlanAsync(image, lossy: true);
        var step = Assert.Single(plan.Steps);
        Assert.Equal(RepairOutcome.Impossible, step.Outcome);
        Assert.Contains(problem, step.Problem, StringComparison.Ordinal);
        Assert.Contains("backup", step.Action, StringComparison.Ordinal);
        Assert.False(plan.ChangesFile);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_log_that_was_named_and_never_written_is_emptied_without_loss()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await NameLogAsync(image, Guid.NewGuid());
        await RepairsAsync(image, content, "names a log that has no entry");
    }

    [Fact(Timeout = 20_000)]
    public async Task A_damaged_log_is_given_up_with_permission_only()
    {
        var image = (await CreateDirtyAsync()).Copy("dirty.vhdx");
        var log = await PeekAsync(image, LogOffset, MiB);
        for (var at = 0; at < MiB; at += 4096)
        {
            if (log.AsSpan(at).StartsWith("loge"u8))
                await PokeAsync(image, LogOffset + at + 24, 0xff);
        }

        var refused = await PlanAsync(image);
        Assert.Equal(RepairOutcome.NeedsLossy, Assert.Single(refused.Steps).Outcome);
        Assert.False(refused.ChangesFile);
        var plan = await RepairsAsync(image, new byte[8 * MiB], "none ends a valid sequence", lossy: true);
        Assert.Contains("cannot be told", plan.Steps[0].Action, StringComparison.Ordinal);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_log_of_a_file_that_was_cut_is_replayed_and_the_lost_blocks_are_listed()
    {
        var image = (await CreateDirtyAsync()).Copy("dirty.vhdx");
        var content = await ContentAsync(image);
        await image.SetLengthAsync(FirstBlockOffset, CancellationToken.None);
        Array.Clear(content, 0, MiB);
        var plan = await RepairsAsync(image, content, "the file was cut", lossy: true);
        Assert.Equal([new GuestRange(0, MiB)], plan.Steps.SelectMany(step => step.Lost));
    }

    [Fact(Timeout = 20_000)]
    public async Task Garbage_behind_the_last_block_is_cut_off()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        var length = image.Length;
        await image.WriteAsync(length, Pattern(9, 5000), CancellationToken.None);
        var copy = image.Copy();
        await ApplyAsync(await PlanAsync(copy), copy);
        Assert.Equal(length, copy.Length);
        await RepairsAsync(image, content, "not whole MiB");
    }

    [Fact(Timeout = 20_000)]
    public async Task A_file_cut_inside_the_header_section_cannot_be_repaired()
    {
        var image = await CreateWithContentAsync();
        await image.SetLengthAsync(300_000, CancellationToken.None);
        var plan = await PlanAsync(image, lossy: true);
        Assert.Equal(RepairOutcome.Impossible, Assert.Single(plan.Steps).Outcome);
        Assert.False(plan.ChangesFile);
    }

    private static async Task NameLogAsync(MemoryFile image, Guid log)
    {
        var header = VhdxHeader.TryParse(await PeekAsync(image, SecondHeader, 4096), out _)!;
        await PokeAsync(image, SecondHeader, (header with { Sequence = 1000, LogGuid = log }).ToBytes());
    }
}
