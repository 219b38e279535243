using System.Buffers.Binary;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Repair;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhd.VhdSample;
using static Godwit.Storage.Tests.Repair.RepairRig;

namespace Godwit.Storage.Tests.Repair;

/// <summary>Damage of a VHD, one kind after the other.</summary>
public sealed class VhdRepairTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 20_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_sound_image_is_left_alone(bool isFixed)
    {
        var image = isFixed ? await CreateFixedAsync() : await CreateWithContentAsync();
        var plan = await PlanAsync(image, lossy: true);
        Assert.Empty(plan.Steps);
        Assert.False(plan.ChangesFile);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(20)]
    [InlineData(512)]
    public async Task The_footer_is_written_again_from_its_copy(int length)
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await PokeAsync(image, image.Length - 512, new byte[length]);
        await RepairsAsync(image, content, "the last sector is no footer");
    }

    [Fact(Timeout = 20_000)]
    public async Task A_footer_that_was_cut_off_is_written_again()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await image.SetLengthAsync(image.Length - 512, None);
        await RepairsAsync(image, content, "the last sector is no footer");
    }

    [Fact(Timeout = 20_000)]
    public async Task The_copy_is_written_again_from_the_footer()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await PokeAsync(image, 0, new byte[512]);
        await RepairsAsync(image, content, "the copy of the footer at the start of the file is damaged");
    }

    [Fact(Timeout = 20_000)]
    public async Task A_copy_that_differs_is_written_again()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        var footer = VhdFooter.TryParse(image.ToArray().AsSpan(0, 512), out _)!;
        await PokeAsync(image, 0, footer.WithSize(16 * MiB).ToBytes());
        await RepairsAsync(image, content, "differs from the footer at the end");
    }

    [Theory(Timeout = 20_000)]
    [InlineData(1000)]
    [InlineData(3 * MiB)]
    public async Task Garbage_behind_the_footer_is_cut_off(int length)
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await image.WriteAsync(image.Length, Pattern(3, length), None);
        await RepairsAsync(image, content, "the last sector is no footer");
        image = await CreateFixedAsync();
        content = await ContentAsync(image);
        await image.WriteAsync(image.Length, Pattern(3, length), None);
        await RepairsAsync(image, content, "the last sector is no footer");
    }

    [Fact(Timeout = 20_000)]
    public async Task Footer_behind_garbage_and_lost_copy_are_found()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await image.WriteAsync(image.Length, Pattern(3, 4096), None);
        await PokeAsync(image, 0, new byte[512]);
        await RepairsAsync(image, content, "its end is missing");
    }

    [Theory(Timeout = 20_000)]
    [InlineData(false, 511)]
    [InlineData(true, 511)]
    public async Task A_footer_of_511_bytes_gets_its_last_one(bool isFixed, int length)
    {
        var image = isFixed ? await CreateFixedAsync() : await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await image.SetLengthAsync(image.Length - 512 + length, None);
        var plan = await RepairsAsync(image, content, "the footer has 511 bytes");
        Assert.All(plan.Steps, step => Assert.Equal(RepairOutcome.Mended, step.Outcome));
    }

    [Theory(Timeout = 20_000)]
    [InlineData(0)]
    [InlineData(64)]
    [InlineData(80)]
    public async Task A_damaged_footer_of_a_fixed_disk_is_put_right_where_it_fits(int at)
    {
        var image = await CreateFixedAsync();
        var content = await ContentAsync(image);
        await PokeAsync(image, image.Length - 512 + at, 0xee);
        await RepairsAsync(image, content, "this is not a VHD file, or its end is missing");
    }

    [Theory(Timeout = 20_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_lost_footer_of_a_fixed_disk_is_made_anew_with_permission(bool cut)
    {
        var image = await CreateFixedAsync();
        var content = await ContentAsync(image);
        if (cut)
            await image.SetLengthAsync(image.Length - 512, None);
        else
            await PokeAsync(image, image.Length - 512, Pattern(4, 512));
        Assert.Equal(RepairOutcome.NeedsLossy, Assert.Single((await PlanAsync(image)).Steps).Outcome);
        await RepairsAsync(image, content, "this is not a VHD file, or its end is missing", lossy: true);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_fixed_disk_whose_length_tells_nothing_is_refused()
    {
        var image = await CreateFixedAsync();
        await image.SetLengthAsync((3 * MiB) + 1024, None);
        var step = Assert.Single((await PlanAsync(image, lossy: true)).Steps);
        Assert.Equal(RepairOutcome.Impossible, step.Outcome);
        Assert.Contains("--source-format raw", step.Action, StringComparison.Ordinal);
    }

    [Fact(Timeout = 20_000)]
    public async Task Footer_and_copy_lost_are_made_from_the_header_with_permission()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await WipeFootersAsync(image, keep: null);
        Assert.Equal(RepairOutcome.NeedsLossy, Assert.Single((await PlanAsync(image)).Steps).Outcome);
        await RepairsAsync(image, content, "this is not a VHD file, or its end is missing", lossy: true);
    }

    [Fact(Timeout = 20_000)]
    public async Task Footer_and_copy_damaged_are_put_right_where_they_fit_the_header()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await WipeFootersAsync(image, keep: 0);
        await PokeAsync(image, 0, 0);
        await RepairsAsync(image, content, "this is not a VHD file, or its end is missing");
    }

    [Fact(Timeout = 20_000)]
    public async Task A_footer_that_a_growing_file_left_behind_serves_when_the_others_are_lost()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await PokeAsync(image, 0, new byte[512]);
        await PokeAsync(image, image.Length - 512, new byte[512]);
        Assert.True(image.ToArray().AsSpan().IndexOf("conectix"u8) > 0, "none was left behind");
        await RepairsAsync(image, content, "this is not a VHD file, or its end is missing");
    }

    [Theory(Timeout = 20_000)]
    [InlineData(0, 8)]
    [InlineData(36, 4)]
    [InlineData(16, 8)]
    [InlineData(28, 4)]
    [InlineData(32, 4)]
    [InlineData(0, 1024)]
    public async Task The_dynamic_header_is_written_again(int at, int length)
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await PokeAsync(image, HeaderOffset + at, Pattern(8, length));
        await RepairsAsync(image, content, "the dynamic header");
    }

    [Fact(Timeout = 20_000)]
    public async Task A_child_keeps_what_its_damaged_header_says_of_the_parent()
    {
        var image = await CreateChildAsync();
        var before = (await VhdDisk.DescribeAsync(image, None)).Parent;
        await PokeAsync(image, HeaderOffset + 36, 1, 2, 3, 4);
        Assert.Equal(RepairOutcome.NeedsLossy, Assert.Single((await PlanAsync(image)).Steps).Outcome);
        var plan = await PlanAsync(image, lossy: true);
        Assert.Contains("set-parent", plan.Steps[0].Action, StringComparison.Ordinal);
        await ApplyAsync(plan, image);
        Assert.True((await CheckAsync(image)).IsSound);
        Assert.Equivalent(before, (await VhdDisk.DescribeAsync(image, None)).Parent);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(0x00ffff00u, "reaches past the end")]
    [InlineData(1u, "overlaps")]
    [InlineData(3u, "overlaps")]
    public async Task A_block_that_is_nowhere_reads_as_zeroes_and_is_listed(uint sector, string finding)
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await SetAsync(image, 10, sector);
        var refused = await PlanAsync(image);
        Assert.Equal(RepairOutcome.NeedsLossy, Assert.Single(refused.Steps).Outcome);
        Assert.False(refused.ChangesFile);
        Array.Clear(content, 5 * MiB, 512 << 10);
        var plan = await RepairsAsync(image, content, finding, lossy: true);
        Assert.Equal([new GuestRange(5 * MiB, 512 << 10)], plan.Steps.SelectMany(step => step.Lost));
    }

    [Fact(Timeout = 20_000)]
    public async Task Of_two_blocks_at_one_place_one_keeps_it_and_both_are_listed()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await PokeAsync(image, TableOffset + 40, image.ToArray()[TableOffset..(TableOffset + 4)]);
        Array.Clear(content, 5 * MiB, 512 << 10);
        var plan = await RepairsAsync(image, content, "overlaps another block", lossy: true);
        Assert.Equal([new GuestRange(5 * MiB, 512 << 10), new GuestRange(0, 512 << 10)], plan.Steps.SelectMany(step => step.Lost));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_file_cut_in_the_middle_of_a_block_keeps_the_front_of_it()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        var place = (long)BinaryPrimitives.ReadUInt32BigEndian(image.ToArray().AsSpan(TableOffset + 40)) * 512;
        Assert.True(place > (long)BinaryPrimitives.ReadUInt32BigEndian(image.ToArray().AsSpan(TableOffset)) * 512);
        await image.SetLengthAsync(place + 512 + 4000, None);
        Array.Clear(content, (5 * MiB) + 4000, (512 << 10) - 4000);
        var plan = await RepairsAsync(image, content, "reaches past the end", lossy: true);
        Assert.Equal([new GuestRange((5 * MiB) + 4000, (512 << 10) - 4000)], plan.Steps.SelectMany(step => step.Lost));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_fixed_disk_that_lacks_its_end_says_where_to_go()
    {
        var image = await CreateFixedAsync();
        var footer = image.ToArray()[^512..];
        await image.SetLengthAsync(2 * MiB, None);
        await image.WriteAsync(2 * MiB, footer, None);
        var step = Assert.Single((await PlanAsync(image, lossy: true)).Steps);
        Assert.Equal(RepairOutcome.Impossible, step.Outcome);
        Assert.Contains("missing", step.Problem, StringComparison.Ordinal);
    }

    private static async Task<MemoryFile> CreateFixedAsync()
    {
        var image = await CreateAsync(size: 4 * MiB, isFixed: true);
        await using (var disk = await OpenAsync(image))
            await disk.WriteAsync(0, Pattern(5, 4 * MiB), WriteFlags.None, None);
        return image.Reopen();
    }

    /// <summary>Takes every footer away, those too that a growing file has left behind.</summary>
    private static async Task WipeFootersAsync(MemoryFile image, long? keep)
    {
        var bytes = image.ToArray();
        for (var at = 0; at < bytes.Length; at += 512)
        {
            if (at != keep && bytes.AsSpan(at).StartsWith("conectix"u8))
                await PokeAsync(image, at, new byte[512]);
        }
    }

    private static Task SetAsync(MemoryFile image, int block, uint sector)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, sector);
        return PokeAsync(image, TableOffset + (block * 4), bytes);
    }
}
