using System.Buffers.Binary;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Repair;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;
using static Godwit.Storage.Tests.Repair.RepairRig;
using VhdSample = Godwit.Storage.Tests.Formats.Vhd.VhdSample;

namespace Godwit.Storage.Tests.Repair;

/// <summary>Damage of a VHDX's block allocation table: what is lost is exactly what is listed.</summary>
public sealed class VhdxTableRepairTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    public static TheoryData<int, ulong, string> Harmless => new()
    {
        { 0, (1UL << 19) | 8, "has reserved bits set" },
        { 3, (7UL << 20) | 3, "is not present (state 3) but has an offset" },
        { 3, 5, "which only drafts of the format used" },
    };

    public static TheoryData<ulong, string> Lossy => new()
    {
        { (9999UL << 20) | 6, "reaches past the end" },
        { (ulong.MaxValue << 20) | 6, "reaches past the end" },
        { 6, "inside the header section" },
        { (1UL << 20) | 6, "overlaps a region or the log" },
        { (3UL << 20) | 6, "overlaps a region or the log" },
        { 4, "has state 4" },
    };

    [Theory(Timeout = 20_000)]
    [MemberData(nameof(Harmless))]
    public async Task What_changes_nothing_for_the_guest_needs_no_permission(int entry, ulong value, string finding)
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await OrAsync(image, entry, value);
        var plan = await RepairsAsync(image, content, finding);
        Assert.All(plan.Steps, step => Assert.Equal(RepairOutcome.Mended, step.Outcome));
    }

    [Theory(Timeout = 20_000)]
    [MemberData(nameof(Lossy))]
    public async Task A_block_that_is_nowhere_reads_as_zeroes_and_is_listed(ulong value, string finding)
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await SetAsync(image, 5, value);
        var refused = await PlanAsync(image);
        Assert.Equal(RepairOutcome.NeedsLossy, Assert.Single(refused.Steps).Outcome);
        Assert.Equal([new GuestRange(5 * MiB, MiB)], refused.Steps[0].Lost);
        Assert.False(refused.ChangesFile);
        Array.Clear(content, 5 * MiB, MiB);
        var plan = await RepairsAsync(image, content, finding, lossy: true);
        Assert.Equal([new GuestRange(5 * MiB, MiB)], plan.Steps.SelectMany(step => step.Lost));
        Assert.Equal(MiB, plan.Steps.Sum(step => step.LostBytes));
    }

    [Fact(Timeout = 20_000)]
    public async Task Of_two_blocks_at_one_place_the_first_keeps_it_and_both_are_listed()
    {
        var image = await CreateWithContentAsync();
        var content = await ContentAsync(image);
        await SetAsync(image, 5, BinaryPrimitives.ReadUInt64LittleEndian(await PeekAsync(image, BatOffset, 8)));
        Array.Clear(content, 5 * MiB, MiB);
        var plan = await RepairsAsync(image, content, "overlaps block 0", lossy: true);
        Assert.Equal([new GuestRange(5 * MiB, MiB), new GuestRange(0, MiB)], plan.Steps.SelectMany(step => step.Lost));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_file_cut_in_the_middle_of_a_block_keeps_the_front_of_it()
    {
        var image = await CreateAsync();
        await using (var disk = await OpenAsync(image))
            await disk.WriteAsync(0, Pattern(3, 8 * MiB), WriteFlags.None, None);
        image = image.Reopen();
        var content = await ContentAsync(image);
        var last = BinaryPrimitives.ReadUInt64LittleEndian(await PeekAsync(image, BatOffset + (7 * 8), 8)) & ~7UL;
        await image.SetLengthAsync((long)last - MiB + 100_000, None);
        Array.Clear(content, (6 * MiB) + 100_000, content.Length - (6 * MiB) - 100_000);
        var plan = await RepairsAsync(image, content, "reaches past the end", lossy: true);
        Assert.Equal(
            [new GuestRange(7 * MiB, MiB), new GuestRange((6 * MiB) + 100_000, MiB - 100_000)],
            plan.Steps.SelectMany(step => step.Lost).OrderByDescending(range => range.Offset));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_partially_present_block_without_bitmap_reads_as_the_parent()
    {
        var parent = Pattern(7, 8 * MiB);
        var image = await CreateChildAsync();
        await SetAsync(image, await BitmapEntryAsync(image), 0);
        var plan = await PlanAsync(image, lossy: true);
        Assert.Contains(plan.Steps, step => step.Problem.Contains("no sector bitmap", StringComparison.Ordinal));
        Assert.Equal([new GuestRange(2 * MiB, 2 * MiB)], plan.Steps.SelectMany(step => step.Lost));
        await ApplyAsync(plan, image);
        Assert.True((await CheckAsync(image)).IsSound);
        Assert.Equal(parent, await ContentAsync(image, VhdSample.ParentOf(parent)));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_bitmap_past_the_end_takes_its_blocks_along()
    {
        var image = await CreateChildAsync();
        await SetAsync(image, await BitmapEntryAsync(image), (9999UL << 20) | 6);
        var plan = await PlanAsync(image, lossy: true);
        await ApplyAsync(plan, image);
        Assert.True((await CheckAsync(image)).IsSound);
        Assert.Equal([new GuestRange(2 * MiB, 2 * MiB)], plan.Steps.SelectMany(step => step.Lost));
        Assert.True(plan.Steps.All(step => step.Outcome == RepairOutcome.MendedWithLoss));
    }

    /// <summary>A child of 8 MiB with one sector of its own in block 1 (2 MiB blocks).</summary>
    private static async Task<MemoryFile> CreateChildAsync()
    {
        var file = new MemoryFile(path: "child.vhdx");
        await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = 8 * MiB, Parent = SomeParent }, None);
        await using (var disk = await VhdxDisk.OpenAsync(file, new VhdxOpenOptions { Parent = new ReferenceDisk(8 * MiB) }, None))
            await disk.WriteAsync(2 * MiB, Pattern(1, 512), WriteFlags.None, None);
        return file.Reopen();
    }

    private static async Task<long> BitmapEntryAsync(MemoryFile image)
    {
        var geometry = new VhdxGeometry(8 * MiB, 2 * MiB, 512, hasParent: true);
        var entry = geometry.BitmapEntryOf(0);
        Assert.NotEqual(0UL, BinaryPrimitives.ReadUInt64LittleEndian(await PeekAsync(image, BatOffset + (entry * 8), 8)));
        return entry;
    }

    private static Task SetAsync(MemoryFile image, long entry, ulong value) => PokeAsync(image, BatOffset + (entry * 8), BitConverter.GetBytes(value));

    private static async Task OrAsync(MemoryFile image, long entry, ulong value) =>
        await SetAsync(image, entry, value | BinaryPrimitives.ReadUInt64LittleEndian(await PeekAsync(image, BatOffset + (entry * 8), 8)));
}
