using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Raw;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Operations;
using Godwit.Storage.Tests.Formats.Vhdx;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Storage.Tests.Operations;

public sealed class DiskCompactTests
{
    private const int MiB = CompactRig.MiB;
    private static readonly CancellationToken None = CancellationToken.None;

    public static TheoryData<string> Kinds => ["vhdx-plain", "vhdx-child", "vhd-plain", "vhd-child"];

    [Theory(Timeout = 60_000)]
    [MemberData(nameof(Kinds))]
    public async Task A_compacted_image_is_shorter_sound_and_reads_the_same(string kind)
    {
        long moved = 0;
        for (var seed = 1; seed <= 8; seed++)
        {
            var rig = await CompactRig.CreateAsync(kind, seed);
            var before = rig.File.Length;
            var first = await rig.CompactAsync(rig.File);
            Assert.Equal(rig.File.Length, first.LengthAfter);
            Assert.True(first.LengthAfter <= before - first.Zero, $"seed {seed}: {before} - {first.Zero} bytes became {first.LengthAfter}");
            moved += first.BlocksMoved;
            await rig.JudgeAsync(rig.File.Reopen(), $"seed {seed}");

            var again = await rig.CompactAsync(rig.File.Reopen());
            Assert.Equal((first.LengthAfter, 0L, 0L), (again.LengthAfter, again.Zero, again.BlocksMoved));
            await rig.JudgeAsync(rig.File.Reopen(), $"seed {seed}, twice");
        }

        Assert.True(moved > 0);
    }

    [Theory(Timeout = 60_000)]
    [MemberData(nameof(Kinds))]
    public async Task Zeroes_inside_a_block_that_stays_become_a_hole(string kind)
    {
        var rig = await CompactRig.CreateEmptyAsync(kind);
        await using (var disk = await rig.OpenAsync(rig.File))
            await rig.WriteAsync(disk, 0, [.. Enumerable.Repeat((byte)7, 8192), .. new byte[rig.BlockSize - 12288], .. Enumerable.Repeat((byte)7, 4096)]);
        rig = rig.Reopened();
        var allocated = rig.File.AllocatedBytes;
        var result = await rig.CompactAsync(rig.File);
        Assert.Equal((rig.BlockSize - 12288, 0L), (result.ZeroInside, result.Inside));
        Assert.InRange(rig.File.AllocatedBytes, 1, allocated - (rig.BlockSize - (16 << 10)));
        await rig.JudgeAsync(rig.File.Reopen(), kind);
        Assert.Equal(0, (await rig.CompactAsync(rig.File.Reopen())).ZeroInside);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("vhdx-child")]
    [InlineData("vhd-child")]
    public async Task Blocks_that_the_parent_has_too_go_and_so_does_the_bitmap_that_none_needs(string kind)
    {
        var rig = await CompactRig.CreateEqualAsync(kind);
        var (empty, before) = (await CompactRig.CreateEmptyAsync(kind), (await LinkageAsync(rig)).ToString());
        CompactResult told;
        await using (var disk = await rig.OpenAsync(rig.File.Reopen(readOnly: true)))
            told = await DiskCompact.RunAsync(disk, ImageFormat.Raw, new CompactOptions { DryRun = true, ZeroesOnly = true }, _ => { }, None);
        var result = await rig.CompactAsync(rig.File);
        Assert.Equal((CompactRig.Size, CompactRig.Size), (told.Equal, result.Equal));
        Assert.Equal(empty.File.Length, result.LengthAfter);
        await rig.JudgeAsync(rig.File.Reopen(), kind);
        Assert.Equal(before, (await LinkageAsync(rig)).ToString());

        // One byte that differs keeps its block, and a bitmap can come back.
        rig = rig.Reopened();
        await using (var disk = await rig.OpenAsync(rig.File, keepsLinkage: true))
        {
            var changed = rig.Content[(2 * rig.BlockSize)..(3 * rig.BlockSize)];
            changed[^1] ^= 1;
            await rig.WriteAsync(disk, 2 * rig.BlockSize, changed);
            await rig.WriteAsync(disk, 4 * rig.BlockSize, [.. changed.AsSpan(0, 512)]);
        }

        rig = rig.Reopened();
        Assert.Equal(0, (await rig.CompactAsync(rig.File)).Equal);
        await rig.JudgeAsync(rig.File.Reopen(), "after a change");
    }

    [Theory(Timeout = 60_000)]
    [MemberData(nameof(Kinds))]
    public async Task Gaps_that_stay_take_no_space_of_the_host(string kind)
    {
        for (var seed = 1; seed <= 4; seed++)
        {
            var rig = await CompactRig.CreateAsync(kind, seed);
            await rig.CompactAsync(rig.File);
            var copy = rig.File.Copy();
            foreach (var gap in await rig.GapsAsync(copy))
            {
                for (var at = (gap.Start + 4095) & -4096; at + 4096 <= Math.Min(gap.End, copy.Length); at += 4096)
                    Assert.True((await copy.GetExtentAsync(at, 4096, None)).ReadsAsZeroes, $"seed {seed}: {gap} has data at {at}");
            }
        }
    }

    [Theory(Timeout = 60_000)]
    [MemberData(nameof(Kinds))]
    public async Task A_dry_run_writes_nothing_and_foretells_the_result(string kind)
    {
        var rig = await CompactRig.CreateAsync(kind, 3);
        CompactResult told;
        await using (var disk = await rig.OpenAsync(rig.File.Reopen(readOnly: true)))
            told = await DiskCompact.RunAsync(disk, ImageFormat.Raw, new CompactOptions { DryRun = true, ZeroesOnly = true }, _ => { }, None);
        var done = await rig.CompactAsync(rig.File);
        Assert.Equal((done.Zero, done.Empty), (told.Zero, told.Empty));
        Assert.InRange(told.LengthAfter, done.LengthAfter - MiB, done.LengthAfter + MiB);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_vhdx_that_reads_the_same_is_known_to_its_children_as_before()
    {
        var rig = await CompactRig.CreateAsync("vhdx-plain", 1);
        var before = (await VhdxDisk.DescribeAsync(rig.File, None)).Linkage;
        Assert.True((await rig.CompactAsync(rig.File)).Zero > 0);
        Assert.Equal(before, (await VhdxDisk.DescribeAsync(rig.File.Reopen(), None)).Linkage);
    }

    /// <summary>Hyper-V keeps the place of a block that a guest has trimmed, in state 3 with an offset.</summary>
    [Fact(Timeout = 60_000)]
    public async Task Places_reserved_for_absent_blocks_are_given_back()
    {
        var rig = await CompactRig.CreateAsync("vhdx-plain", 1);
        await rig.CompactAsync(rig.File);
        var end = rig.File.Length;
        rig = rig.Reopened();
        var entry = new byte[8];
        for (var block = 0; block < 7; block++)
        {
            await rig.File.ReadAsync(VhdxSample.BatOffset + (block * 8), entry, None);
            if ((entry[0] & 7) == 6)
                continue;
            System.Buffers.Binary.BinaryPrimitives.WriteInt64LittleEndian(entry, end | 3);
            await rig.File.WriteAsync(VhdxSample.BatOffset + (block * 8), entry, None);
            await rig.File.SetLengthAsync(end + MiB, None);
            var result = await rig.CompactAsync(rig.File);
            Assert.Equal((MiB, end), (result.Empty, result.LengthAfter));
            await rig.JudgeAsync(rig.File.Reopen(), "after the reserved place went");
            return;
        }

        Assert.Fail("every block is present");
    }

    [Fact(Timeout = 60_000)]
    public async Task A_stop_between_two_steps_leaves_a_sound_image_and_another_run_finishes()
    {
        foreach (var kind in new[] { "vhdx-plain", "vhd-child" })
        {
            var rig = await CompactRig.CreateMovingAsync(kind);
            using var stop = new CancellationTokenSource();
            await using (var disk = await rig.OpenAsync(rig.File))
            {
                await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await DiskCompact.RunAsync(
                    disk, ImageFormat.Raw, new CompactOptions { ZeroesOnly = true, BatchBytes = 1 },
                    progress =>
                    {
                        if (progress.Phase == "Moving")
                            stop.Cancel();
                    },
                    stop.Token));
            }

            rig = rig.Reopened();
            await rig.JudgeAsync(rig.File, kind);
            var whole = await CompactRig.CreateMovingAsync(kind);
            await rig.CompactAsync(rig.File.Reopen());
            await whole.CompactAsync(whole.File);
            Assert.Equal(whole.File.Length, rig.File.Length);
        }
    }

    private static async Task<Guid?> LinkageAsync(CompactRig rig) =>
        rig.IsVhd ? null : (await VhdxDisk.DescribeAsync(rig.File.Reopen(readOnly: true), None)).Linkage;

    [Theory(Timeout = 60_000)]
    [InlineData("raw")]
    [InlineData("vhd")]
    [InlineData("vhdx")]
    public async Task A_disk_without_blocks_gives_zeroes_back_as_holes_and_keeps_its_length(string kind)
    {
        var file = new MemoryFile(path: "fixed");
        var content = new byte[8 * MiB];
        new Random(1).NextBytes(content.AsSpan(MiB, 100_000));
        new Random(2).NextBytes(content.AsSpan((5 * MiB) - 4096, 8192));
        if (kind == "vhd")
            await VhdDisk.CreateAsync(file, new VhdCreateOptions { Size = content.Length, Fixed = true }, None);
        else if (kind == "vhdx")
            await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = content.Length, Fixed = true, BlockSize = MiB }, None);
        else
            await RawDisk.CreateAsync(file, content.Length, None);
        var format = kind == "vhd" ? ImageFormat.VhdFixed : kind == "vhdx" ? ImageFormat.VhdxFixed : ImageFormat.Raw;
        await using (var disk = await LayerFormats.OpenAsync(file, format, null, keepsLinkage: true, None))
            await disk.WriteAsync(0, content, WriteFlags.None, None);
        var (length, allocated) = (file.Length, file.AllocatedBytes);
        await using (var disk = await LayerFormats.OpenAsync(file.Reopen(), format, null, keepsLinkage: true, None))
        {
            var result = await DiskCompact.RunAsync(disk, format, new CompactOptions(), _ => { }, None);
            Assert.Equal((length, length), (result.LengthBefore, result.LengthAfter));
            Assert.InRange(result.Zero, 7 * MiB, 8 * MiB);
            Assert.Single(result.Notes);
        }

        Assert.Equal(length, file.Length);
        Assert.InRange(file.AllocatedBytes, 1, allocated - (7 * MiB));
        await using var after = await LayerFormats.OpenAsync(file.Reopen(readOnly: true), format, null, keepsLinkage: true, None);
        Assert.Equal(content, await OperationsRig.ReadAllAsync(after, None));
    }
}
