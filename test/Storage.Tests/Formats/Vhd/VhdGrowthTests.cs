using Godwit.Storage.Chains;
using Godwit.Storage.Formats.Vhd;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhd.VhdSample;

namespace Godwit.Storage.Tests.Formats.Vhd;

/// <summary>Changes of the whole file, cut off after every event: a larger disk, another parent.</summary>
public sealed class VhdGrowthTests
{
    private const int OldSize = (3 * MiB) + 512;
    private const int NewSize = (5 * MiB) + 1024;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 60_000)]
    [InlineData((int)VhdKind.Fixed)]
    [InlineData((int)VhdKind.Dynamic)]
    [InlineData((int)VhdKind.Differencing)]
    public async Task A_growth_that_is_cut_off_leaves_the_old_size_or_the_new_one_and_zeroes_in_the_new_part(int kind)
    {
        var start = new MemoryFile(path: "grow.vhd");
        var options = new VhdCreateOptions { Size = OldSize, BlockSize = 512 << 10, Fixed = kind == (int)VhdKind.Fixed, Parent = kind == (int)VhdKind.Differencing ? Parent : null };
        await VhdDisk.CreateAsync(start, options, None);
        var content = Pattern(1, OldSize);
        BlockDevice? OpenParent() => options.Parent is null ? null : ParentOf(new byte[OldSize]);
        await using (var disk = await OpenAsync(start.Reopen(), parent: OpenParent()))
            await disk.WriteAsync(0, content, WriteFlags.None, None);

        var file = new CrashFile(start.Reopen());
        await using (var disk = await OpenAsync(file, parent: OpenParent()))
            await disk.ResizeAsync(NewSize, None);
        var sizes = new HashSet<long>();
        for (var events = 0; events <= file.EventCount; events++)
        {
            foreach (var image in ImagesAfter(file, events))
            {
                foreach (var readOnly in new[] { true, false })
                {
                    await using var disk = await OpenAsync(image.Reopen(readOnly), parent: OpenParent());
                    Assert.Contains(disk.Length, new long[] { OldSize, NewSize });
                    sizes.Add(disk.Length);
                    var found = await ReadAsync(disk, 0, (int)disk.Length);
                    Assert.True(found.AsSpan(0, OldSize).SequenceEqual(content), $"{image.Path}, event {events}");
                    Assert.False(found.AsSpan(OldSize).ContainsAnyExcept((byte)0), $"{image.Path}, event {events}: the new part is not zero");
                }

                await GrowAgainAsync(image, OpenParent(), content);
            }
        }

        Assert.Equal(2, sizes.Count);
        Assert.True((await VhdCheck.RunAsync(file.Reopen(), None)) is { Errors: 0, Warnings: 0 });
    }

    /// <summary>What a crash left is a disk like any other: it grows and is written to its end.</summary>
    private static async Task GrowAgainAsync(MemoryFile image, BlockDevice? parent, byte[] content)
    {
        await using (var disk = await OpenAsync(image.Reopen(), parent: parent))
        {
            await disk.ResizeAsync(NewSize + MiB, None);
            await disk.WriteAsync(NewSize + MiB - 512, content.AsMemory(0, 512), WriteFlags.None, None);
        }

        var report = await VhdCheck.RunAsync(image.Reopen(), None);
        Assert.True(report is { Errors: 0, Warnings: 0 }, string.Join("; ", report.Findings));
        await using var again = await OpenAsync(image.Reopen(), parent: parent is null ? null : ParentOf(new byte[OldSize]));
        var found = await ReadAsync(again, 0, NewSize + MiB);
        Assert.True(found.AsSpan(0, OldSize).SequenceEqual(content));
        Assert.False(found.AsSpan(OldSize..^512).ContainsAnyExcept((byte)0));
        Assert.True(found.AsSpan(NewSize + MiB - 512).SequenceEqual(content.AsSpan(0, 512)));
    }

    /// <summary>A footer may lie far behind the disk; reserving all up to it would fill the file system.</summary>
    [Fact(Timeout = 20_000)]
    public async Task A_fixed_disk_whose_footer_lies_a_TiB_behind_it_reserves_only_what_it_grows_by()
    {
        var file = await CreateAsync(MiB, isFixed: true);
        var footer = file.ToArray()[MiB..];
        await PokeAsync(file.Reopen(), MiB, Pattern(1, 4096));
        await PokeAsync(file.Reopen(), 1L << 40, footer);
        await using (var disk = await OpenAsync(file.Reopen()))
        {
            await disk.ResizeAsync(2 * MiB, None);
            Assert.Equal(new byte[MiB], await ReadAsync(disk, MiB, MiB));
        }

        Assert.True(file.AllocatedBytes < 3 * MiB, $"{file.AllocatedBytes} bytes");
        Assert.True((await VhdCheck.RunAsync(file.Reopen(), None)).IsSound);
    }

    [Fact(Timeout = 20_000)]
    public async Task Bytes_another_program_left_behind_the_end_do_not_show_up_when_the_disk_grows()
    {
        var file = await CreateAsync((5 * MiB) + 512);
        await using (var disk = await OpenAsync(file.Reopen()))
            await disk.WriteAsync(5 * MiB, Pattern(1, 512), WriteFlags.None, None);
        var table = file.ToArray().AsSpan(TableOffset + (10 * sizeof(uint)), sizeof(uint));
        var place = System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(table) * 512L;
        await PokeAsync(file.Reopen(), place + 512 + 512, Pattern(2, 4096));
        await using var grown = await OpenAsync(file.Reopen());
        await grown.ResizeAsync(6 * MiB, None);
        Assert.Equal(Pattern(1, 512), await ReadAsync(grown, 5 * MiB, 512));
        Assert.Equal(new byte[MiB - 512], await ReadAsync(grown, (5 * MiB) + 512, MiB - 512));
    }

    /// <summary>The footer a new disk had stands right behind its table once the file has grown.</summary>
    [Fact(Timeout = 60_000)]
    public async Task An_old_footer_behind_the_table_gives_way_whenever_that_is_cut_off()
    {
        const long Old = 64L * MiB, New = 200L * MiB;
        var start = await CreateAsync(Old);
        await using (var disk = await OpenAsync(start.Reopen()))
            await disk.WriteAsync(MiB, Pattern(1, 8192), WriteFlags.None, None);
        var behind = new byte[512];
        await start.Reopen().ReadAsync(TableOffset + 512, behind, None);
        Assert.True(behind.AsSpan().StartsWith("conectix"u8));
        var file = new CrashFile(start.Reopen());
        await using (var disk = await OpenAsync(file))
        {
            await disk.ResizeAsync(New, None);
            await disk.WriteAsync(New - 8192, Pattern(2, 8192), WriteFlags.None, None);
        }

        var sizes = new HashSet<long>();
        for (var events = 0; events <= file.EventCount; events++)
        {
            foreach (var image in ImagesAfter(file, events))
            {
                await using (var disk = await OpenAsync(image.Reopen(readOnly: true)))
                {
                    Assert.Equal(Pattern(1, 8192), await ReadAsync(disk, MiB, 8192));
                    sizes.Add(disk.Length);
                }

                await using (var disk = await OpenAsync(image.Reopen()))
                {
                    await disk.ResizeAsync(New, None);
                    await disk.WriteAsync(New - 4096, Pattern(3, 4096), WriteFlags.None, None);
                    Assert.Equal(Pattern(1, 8192), await ReadAsync(disk, MiB, 8192));
                }

                Assert.True((await VhdCheck.RunAsync(image.Reopen(readOnly: true), None)) is { Errors: 0, Warnings: 0 });
            }
        }

        Assert.Equal([Old, New], sizes.Order());
    }

    /// <summary>Other programs put the first block right behind the table. Once it was trimmed, its place is for the next block.</summary>
    [Fact(Timeout = 60_000)]
    public async Task The_table_does_not_grow_into_a_place_that_the_next_block_gets()
    {
        var foreign = new ForeignVhd { Kind = ForeignVhd.Dynamic, Size = 64 * MiB, BlockSize = 512 << 10 };
        foreign.Block(0, 4, new byte[512 << 10], static _ => true);
        var file = await foreign.BuildAsync();
        await using (var disk = await OpenAsync(file.Reopen()))
        {
            await disk.TrimAsync(0, 512 << 10, None);
            for (var flush = 0; flush < 4; flush++)
            {
                // Each takes the place one step further, from freed to clean.
                await disk.WriteAsync(0, new byte[512], WriteFlags.ForceUnitAccess, None);
                await disk.TrimAsync(0, 512 << 10, None);
                await disk.FlushAsync(None);
            }

            try
            {
                await disk.ResizeAsync(200L * MiB, None);
            }
            catch (StorageException refused) when (refused.Kind == StorageErrorKind.Unsupported)
            {
                Assert.Contains("no room", refused.Reason, StringComparison.Ordinal);
            }

            for (var block = 0; block < 4; block++)
                await disk.WriteAsync(block * MiB, Pattern(block, MiB), WriteFlags.None, None);
        }

        var report = await VhdCheck.RunAsync(file.Reopen(readOnly: true), None);
        Assert.Equal(0, report.Errors);
        await using var again = await OpenAsync(file.Reopen(readOnly: true), readOnly: true);
        for (var block = 0; block < 4; block++)
            Assert.Equal(Pattern(block, MiB), await ReadAsync(again, block * MiB, MiB));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_disk_whose_table_has_no_room_says_what_to_do()
    {
        // 128 entries fill the first sector of the table, and the first block lies behind it.
        await using var disk = await OpenAsync(await CreateAsync(64L * MiB));
        await disk.WriteAsync(0, Pattern(1, 512), WriteFlags.None, None);
        var error = await Assert.ThrowsAsync<StorageException>(() => disk.ResizeAsync(64L * MiB * 1024, None).AsTask());
        Assert.Equal(StorageErrorKind.Unsupported, error.Kind);
        Assert.Contains("copy the disk", error.Reason, StringComparison.Ordinal);
        Assert.Equal(64L * MiB, disk.Length);
        Assert.Equal(Pattern(1, 512), await ReadAsync(disk, 0, 512));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_child_smaller_than_its_parent_does_not_grow_into_the_parents_bytes()
    {
        await using var disk = await OpenAsync(await CreateChildAsync(4 * MiB), parent: new ReferenceDisk(8 * MiB));
        var error = await Assert.ThrowsAsync<StorageException>(() => disk.ResizeAsync(6 * MiB, None).AsTask());
        Assert.Equal(StorageErrorKind.Unsupported, error.Kind);
    }

    [Fact(Timeout = 60_000)]
    public async Task Another_parent_is_written_whole_or_not_at_all()
    {
        var start = await CreateChildAsync();
        await using (var disk = await OpenAsync(start.Reopen(), parent: new ReferenceDisk(8 * MiB)))
            await disk.WriteAsync(MiB, Pattern(1, 8192), WriteFlags.None, None);
        var other = new ParentLink(Guid.NewGuid(), null, Parent.Modified!.Value.AddDays(1),
            [new ParentPath(ParentPathKind.Relative, new string('x', 700)), new ParentPath(ParentPathKind.Absolute, "/srv/vms/other.vhd")]);
        var file = new CrashFile(start.Reopen());
        await VhdDisk.SetParentAsync(file, other, "other.vhd", None);
        List<ParentPath> otherPaths = [.. other.Paths, new ParentPath(ParentPathKind.Name, "other.vhd")];
        var seen = new HashSet<Guid>();
        for (var events = 0; events <= file.EventCount; events++)
        {
            foreach (var image in ImagesAfter(file, events))
            {
                var link = (await VhdDisk.DescribeAsync(image.Reopen(), None)).Parent!;
                seen.Add(link.Linkage);
                Assert.Contains(link.Linkage, new[] { Parent.Linkage, other.Linkage });
                Assert.Equal(link.Linkage == other.Linkage ? otherPaths : Parent.Paths, link.Paths);
                await WriteThenLoseTheEndAsync(image);

                // And once more, from whatever state this is.
                await VhdDisk.SetParentAsync(image.Reopen(), Parent, "base.vhd", None);
                var again = await VhdDisk.DescribeAsync(image.Reopen(), None);
                Assert.Equal((Parent.Linkage, Parent.Modified), (again.Parent!.Linkage, again.Parent.Modified));
                Assert.Equal(Parent.Paths, again.Parent.Paths);
                Assert.Equal(0, (await VhdCheck.RunAsync(image.Reopen(), None)).Errors);
            }
        }

        Assert.Equal(2, seen.Count);
        Assert.Empty((await VhdCheck.RunAsync(file.Reopen(), None)).Findings);
        Assert.Equal(512ul, VhdFooter.TryParse(start.ToArray().AsSpan(0, 512), out _)!.DataOffset);
    }

    [Fact(Timeout = 20_000)]
    public async Task Only_a_child_has_a_parent_to_be_set()
    {
        var error = await Assert.ThrowsAsync<StorageException>(async () => await VhdDisk.SetParentAsync(await CreateAsync(), Parent, "base.vhd", None));
        Assert.Equal(StorageErrorKind.InvalidRequest, error.Kind);
        var child = await CreateChildAsync();
        await Assert.ThrowsAsync<StorageException>(async () => await VhdDisk.SetParentAsync(child, Parent, new string('x', 257), None));
        Assert.Equal(Parent.Paths, (await VhdDisk.DescribeAsync(child, None)).Parent!.Paths);
    }

    private static async Task WriteThenLoseTheEndAsync(MemoryFile image)
    {
        await using (var disk = await OpenAsync(image.Reopen(), parent: new ReferenceDisk(8 * MiB)))
        {
            Assert.Equal(Pattern(1, 8192), await ReadAsync(disk, MiB, 8192));
            await disk.WriteAsync(3 * MiB, Pattern(2, 8192), WriteFlags.None, None);
        }

        // A writer has been there, so the copy must do on its own.
        await image.Reopen().SetLengthAsync(image.Length + 5000, None);
        await using var again = await OpenAsync(image.Reopen(), parent: new ReferenceDisk(8 * MiB));
        Assert.Equal(Pattern(1, 8192), await ReadAsync(again, MiB, 8192));
        Assert.Equal(Pattern(2, 8192), await ReadAsync(again, 3 * MiB, 8192));
    }

    private static IEnumerable<MemoryFile> ImagesAfter(CrashFile file, int events)
    {
        yield return file.AfterKill(events);
        yield return file.AfterPowerCut(events, PowerCut.FlushedOnly);
        for (var draw = 0; draw < 6; draw++)
            yield return file.AfterPowerCut(events, PowerCut.RandomSubset, (events * 6) + draw);
        if (events < file.EventCount)
            yield return file.AfterKillInside(events, events);
    }
}
