using System.Text;
using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.ForeignVhdx;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>What a differencing disk says about its parent is exchanged; everything else in the file stays.</summary>
public sealed class VhdxSetParentTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    private static ParentLink Other { get; } = new(
        new Guid("bbbbbbbb-0001-0002-0003-000000000004"),
        new Guid("cccccccc-0001-0002-0003-000000000004"),
        null,
        [
            new ParentPath(ParentPathKind.Relative, @"..\golden\Bäse.vhdx"),
            new ParentPath(ParentPathKind.Volume, @"\\?\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\golden\Bäse.vhdx"),
            new ParentPath(ParentPathKind.Absolute, @"\\?\D:\golden\" + new string('x', 3000) + ".vhdx"),
        ]);

    [Fact(Timeout = 60_000)]
    public async Task Another_parent_is_written_whole_or_not_at_all()
    {
        var start = await ChildAsync();
        var before = await VhdxDisk.DescribeAsync(start, None);
        var file = new CrashFile(start);
        await SetAsync(file, Other);
        var seen = new HashSet<Guid>();
        for (var events = 0; events <= file.EventCount; events++)
        {
            var images = new List<MemoryFile> { file.AfterKill(events), file.AfterPowerCut(events, PowerCut.FlushedOnly) };
            for (var draw = 0; draw < 6; draw++)
                images.Add(file.AfterPowerCut(events, PowerCut.RandomSubset, (events * 6) + draw));
            if (events < file.EventCount)
                images.Add(file.AfterKillInside(events, events));
            foreach (var image in images)
            {
                var found = await VhdxDisk.DescribeAsync(image.Reopen(), None);
                seen.Add(found.Parent!.Linkage);
                AssertLink(found.Parent!.Linkage == Other.Linkage ? Other : before.Parent!, found.Parent);
                await AssertSoundAsync(image, before.Linkage!.Value);
                await SetAsync(image.Reopen(), before.Parent!);
                AssertLink(before.Parent!, (await VhdxDisk.DescribeAsync(image.Reopen(), None)).Parent!);
            }
        }

        Assert.Equal(2, seen.Count);
    }

    [Fact(Timeout = 20_000)]
    public async Task The_file_has_the_keys_windows_looks_for_and_keeps_those_nobody_knows()
    {
        var file = await ChildAsync();
        await SetAsync(file, Other);
        var locator = Encoding.Unicode.GetString(Convert.FromHexString(ItemsOf(file)[^1].Content));
        foreach (var text in new[]
        {
            "parent_linkage{bbbbbbbb-0001-0002-0003-000000000004}", "parent_linkage2{cccccccc-0001-0002-0003-000000000004}",
            @"relative_path..\golden\Bäse.vhdx", @"volume_path\\?\Volume{26a21bda", @"absolute_win32_path\\?\D:\golden\xxx", "vendor's keykept",
        })
        {
            Assert.Contains(text, locator, StringComparison.Ordinal);
        }

        // A link without a second identity leaves none, and paths of this system become those of Windows.
        await SetAsync(file.Reopen(), Other with { Alternate = null, Paths = [new ParentPath(ParentPathKind.Relative, "sub/base.vhdx")] });
        locator = Encoding.Unicode.GetString(Convert.FromHexString(ItemsOf(file)[^1].Content));
        Assert.Contains(@"relative_path.\sub\base.vhdx", locator, StringComparison.Ordinal);
        foreach (var text in new[] { "linkage2", "volume_path", "absolute" })
            Assert.DoesNotContain(text, locator, StringComparison.Ordinal);
    }

    /// <summary>[MS-VHDX] 2.6.1.2: items nobody here knows, and items the user has put there, are nobody's to change.</summary>
    [Fact(Timeout = 30_000)]
    public async Task Metadata_nobody_knows_stays_through_writes_growth_and_other_parents()
    {
        var file = await ChildAsync();
        var items = ItemsOf(file);
        for (var round = 0; round < 5; round++)
        {
            await SetAsync(file.Reopen(), round % 2 == 0 ? Other : SomeParent);
            await using var disk = await OpenChildAsync(file.Reopen());
            await disk.WriteAsync(round * 2 * MiB, Pattern(round, 4096), WriteFlags.None, None);
            await disk.ResizeAsync(disk.Length + MiB, None);
        }

        var now = ItemsOf(file);
        Assert.Equal(items.SkipLast(1).Where(item => !IsSize(item.Id)), now.SkipLast(1).Where(item => !IsSize(item.Id)));
        Assert.Equal(items.Select(item => (item.Id, item.Flags)), now.Select(item => (item.Id, item.Flags)));
        Assert.Equal(21 * MiB, (await VhdxDisk.DescribeAsync(file.Reopen(), None)).Size);
        Assert.Equal(0, (await VhdxCheck.RunAsync(file.Reopen(), None)).Errors);

        static bool IsSize(Guid id) => id == VhdxFormat.VirtualDiskSizeItem;
    }

    [Theory(Timeout = 20_000)]
    [InlineData(1024, true)]
    [InlineData(1025, false)]
    public async Task A_thousand_and_24_items_may_be_the_users(int count, bool allowed)
    {
        var image = new ForeignVhdx();
        for (var index = 0; index < count; index++)
            image.Item(Guid.NewGuid(), IsUser, index % 3 == 0 ? [] : [(byte)index]);
        var file = await image.BuildAsync();
        if (allowed)
        {
            await using var disk = await OpenAsync(file);
            return;
        }

        var error = await Assert.ThrowsAsync<StorageException>(async () => await OpenAsync(file));
        Assert.Contains("1025 metadata items are the user's", error.Reason, StringComparison.Ordinal);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_log_is_replayed_before_the_parent_is_exchanged()
    {
        var file = new CrashFile(await ChildAsync());
        await using var disk = await OpenChildAsync(file);
        await disk.WriteAsync(8 * MiB, Pattern(8, 4096), WriteFlags.None, None);
        var killed = file.AfterKill(file.EventCount);
        await SetAsync(killed.Reopen(), Other);
        await using var again = await OpenChildAsync(killed.Reopen());
        Assert.Equal(Pattern(8, 4096), await ReadAsync(again, 8 * MiB, 4096));
        Assert.Equal(Other.Linkage, again.Parent!.Linkage);
    }

    [Fact(Timeout = 20_000)]
    public async Task What_cannot_be_written_is_refused_and_nothing_changes()
    {
        var noParent = await Assert.ThrowsAsync<StorageException>(async () => await SetAsync(await CreateAsync(), Other));
        Assert.Equal(StorageErrorKind.InvalidRequest, noParent.Kind);

        var file = await ChildAsync();
        var before = file.ToArray();
        foreach (var paths in new ParentPath[][]
        {
            [new(ParentPathKind.Url, "file:///base.vhdx")], [new(ParentPathKind.Relative, "")], [new(ParentPathKind.Absolute, new string('x', 32_768))],
            [new(ParentPathKind.Relative, "a"), new(ParentPathKind.Relative, "b")],
        })
        {
            var error = await Assert.ThrowsAsync<StorageException>(async () => await SetAsync(file.Reopen(), Other with { Paths = paths }));
            Assert.Equal(StorageErrorKind.InvalidRequest, error.Kind);
        }

        Assert.True(before.AsSpan().SequenceEqual(file.ToArray()));
    }

    /// <summary>The user's items fill the region but for less than a locator.</summary>
    [Fact(Timeout = 20_000)]
    public async Task Without_room_for_the_new_text_the_old_parent_stays()
    {
        var image = new ForeignVhdx { Locator = LocatorOf(("parent_linkage", SomeParent.Linkage.ToString("B")), ("relative_path", @".\p.vhdx")) };
        image.Item(Guid.NewGuid(), IsUser, new byte[(960 << 10) - 800]);
        var file = await image.BuildAsync();
        var before = file.ToArray();
        var error = await Assert.ThrowsAsync<StorageException>(async () => await SetAsync(file.Reopen(), Other));
        Assert.Equal(StorageErrorKind.Unsupported, error.Kind);
        Assert.Contains("no room for", error.Reason, StringComparison.Ordinal);
        Assert.True(before.AsSpan().SequenceEqual(file.ToArray()));
        await SetAsync(file.Reopen(), SomeParent with { Paths = [new ParentPath(ParentPathKind.Relative, "q.vhdx")] });
        Assert.Equal(@".\q.vhdx", Assert.Single((await VhdxDisk.DescribeAsync(file.Reopen(), None)).Parent!.Paths).Text);
    }

    private static ValueTask SetAsync(IStorageFile file, ParentLink link) => VhdxDisk.SetParentAsync(file, link, new VhdxOpenOptions(), None);

    private static ValueTask<VhdxDisk> OpenChildAsync(IStorageFile file) =>
        VhdxDisk.OpenAsync(file, new VhdxOpenOptions { Parent = new ReferenceDisk(16 * MiB) }, None);

    /// <summary>The child of a foreign program, with items of all kinds and a partially present block.</summary>
    private static async Task<MemoryFile> ChildAsync()
    {
        var image = new ForeignVhdx
        {
            DataWriteGuid = new Guid("dddddddd-0001-0002-0003-000000000004"),
            Locator = LocatorOf(
                ("vendor's key", "kept"), ("parent_linkage", SomeParent.Linkage.ToString("B")), ("relative_path", @".\parent.vhdx")),
        };
        image.Item(new Guid("eeeeeeee-0000-0000-0000-000000000001"), 0, Pattern(1, 3001));
        image.Item(new Guid("eeeeeeee-0000-0000-0000-000000000002"), IsUser, Pattern(2, 70_001));
        image.Item(new Guid("eeeeeeee-0000-0000-0000-000000000003"), IsUser | IsVirtualDisk, Pattern(3, 1));
        image.Item(new Guid("eeeeeeee-0000-0000-0000-000000000004"), IsVirtualDisk, []);

        // The same identifier as a known item's is another item when it is the user's.
        image.Item(VhdxFormat.ParentLocatorItem, IsUser, Pattern(4, 500));
        image.Block(1, PartiallyPresent, 6);
        image.Bitmap(0, FullyPresent, 5);
        image.Put((5 * MiB) + 512, [0b100]);
        image.Put((6 * MiB) + 1024, Pattern(6, 512));
        return await image.BuildAsync();
    }

    private static async Task AssertSoundAsync(MemoryFile image, Guid dataWriteGuid)
    {
        Assert.Equal(0, (await VhdxCheck.RunAsync(image.Reopen(readOnly: true), None)).Errors);
        await using var disk = await OpenChildAsync(image.Reopen(readOnly: true));
        Assert.Equal(dataWriteGuid, disk.DataWriteGuid);
        Assert.Equal((byte[])[.. new byte[512], .. Pattern(6, 512), .. new byte[512]], await ReadAsync(disk, (2 * MiB) + 512, 1536));
    }

    private static void AssertLink(ParentLink expected, ParentLink actual)
    {
        Assert.Equal((expected.Linkage, expected.Alternate), (actual.Linkage, actual.Alternate));
        Assert.Equal(expected.Paths, actual.Paths);
    }
}
