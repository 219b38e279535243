using System.Text;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Tests.Formats.Vhd;
using Godwit.Storage.Tests.Formats.Vhdx;
using Godwit.Testing;
using Godwit.Testing.Files;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.ForeignVhdx;

namespace Godwit.Storage.Tests.Chains;

/// <summary>Chains as Windows leaves them: which path leads to the parent, and which file is taken for it.</summary>
public sealed class ForeignChainTests : IDisposable
{
    private const string Linkage = "{aaaaaaaa-0001-0002-0003-000000000004}";
    private const string OtherLinkage = "{bbbbbbbb-0001-0002-0003-000000000004}";
    private const string Volume = @"\\?\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}";
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly DateTime Noon = new(2021, 6, 7, 12, 0, 0, DateTimeKind.Utc);
    private readonly TempFolder _folder = new();

    public ForeignChainTests()
    {
        foreach (var name in new[] { "vms", "bases", "volume", "drive" })
            Directory.CreateDirectory(_folder.File(name));
    }

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 20_000)]
    [InlineData("base.vhdx", "relative_path", @"..\base.vhdx")]
    [InlineData("bases/Base.vhdx", "relative_path", @"..\BASES\base.VHDX")]
    [InlineData("volume/x/base.vhdx", "volume_path", Volume + @"\x\base.vhdx")]
    [InlineData("drive/x/base.vhdx", "absolute_win32_path", @"\\?\D:\x\base.vhdx")]
    [InlineData("drive/x/base.vhdx", "absolute_win32_path", @"d:\x\base.vhdx")]
    [InlineData("vms/base.vhdx", "absolute_win32_path", @"\\?\Z:\nowhere\base.vhdx")]
    public async Task Every_path_of_a_vhdx_leads_to_its_parent(string place, string key, string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_folder.File(place))!);
        await SaveBaseAsync(place);
        await SaveChildAsync(("parent_linkage", Linkage), (key, path));
        var layers = await DescribeAsync();
        Assert.Equal(_folder.File(place), layers[1].Path);
        await AssertShowsBaseAsync();
    }

    [Fact(Timeout = 20_000)]
    public async Task Paths_are_tried_in_the_order_of_the_specification_and_stale_ones_do_not_matter()
    {
        (string, string)[] keys =
        [
            ("absolute_win32_path", @"\\?\D:\base.vhdx"), ("volume_path", Volume + @"\base.vhdx"), ("relative_path", @"..\bases\base.vhdx"),
            ("parent_linkage", Linkage),
        ];
        await SaveChildAsync(keys);
        foreach (var place in new[] { "drive/base.vhdx", "volume/base.vhdx", "bases/base.vhdx" })
        {
            await SaveBaseAsync(place);
            Assert.Equal(_folder.File(place), (await DescribeAsync())[1].Path);
        }
    }

    [Theory(Timeout = 20_000)]
    [InlineData(Linkage, OtherLinkage, true)]
    [InlineData(OtherLinkage, Linkage, true)]
    [InlineData(OtherLinkage, "{00000000-0000-0000-0000-000000000000}", false)]
    [InlineData("{00000000-0000-0000-0000-000000000000}", OtherLinkage, false)]
    public async Task Either_linkage_will_do_and_one_must(string first, string second, bool fits)
    {
        await SaveBaseAsync("base.vhdx");
        await SaveChildAsync(("parent_linkage", first), ("parent_linkage2", second), ("relative_path", @"..\base.vhdx"));
        if (fits)
        {
            await AssertShowsBaseAsync();
            return;
        }

        var error = await Assert.ThrowsAsync<StorageException>(async () => await DescribeAsync());
        Assert.Equal((StorageErrorKind.ParentMismatch, _folder.File("vms/child.avhdx")), (error.Kind, error.Path));
        Assert.Contains(_folder.File("base.vhdx"), error.Reason, StringComparison.Ordinal);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(@".\child.avhdx", StorageErrorKind.Corrupt, "circle")]
    [InlineData(@"..\vms\..\vms\CHILD.avhdx", StorageErrorKind.Corrupt, "circle")]
    [InlineData(@"..\secret", StorageErrorKind.ParentMismatch, "no VHDX file")]
    [InlineData(@"..\..\..\..\..\..\..\..\..\..\..\..\etc\passwd", StorageErrorKind.ParentMismatch, "no VHDX file")]
    [InlineData("a\0b", StorageErrorKind.ParentNotFound, "no place on this computer")]
    [InlineData(@"..", StorageErrorKind.ParentNotFound, "not found")]
    public async Task A_path_chosen_by_an_enemy_reads_no_other_file(string path, StorageErrorKind kind, string reason)
    {
        File.WriteAllText(_folder.File("secret"), new string('s', 100_000));
        await SaveChildAsync(("parent_linkage", Linkage), ("relative_path", path));
        foreach (var ignore in new[] { false, true })
        {
            var options = new ChainOptions { IgnoreParentMismatch = ignore };
            var error = await Assert.ThrowsAsync<StorageException>(async () => await DiskChain.OpenAsync(_folder.File("vms/child.avhdx"), options, None));
            Assert.Equal((kind, _folder.File("vms/child.avhdx")), (error.Kind, error.Path));
            Assert.Contains(reason, error.Reason, StringComparison.Ordinal);
        }
    }

    /// <summary>[MS-VHDX] 2.6.1.2: forking copies what is marked as the virtual disk's, the user's items among them, and nothing else.</summary>
    [Fact(Timeout = 20_000)]
    public async Task A_new_child_takes_over_the_metadata_of_the_virtual_disk()
    {
        var image = new ForeignVhdx { DataWriteGuid = new Guid(Linkage) };
        image.Item(new Guid("eeeeeeee-0000-0000-0000-000000000001"), IsVirtualDisk, VhdxSample.Pattern(1, 4001));
        image.Item(new Guid("eeeeeeee-0000-0000-0000-000000000002"), IsVirtualDisk | IsUser, VhdxSample.Pattern(2, 850_000));
        image.Item(new Guid("eeeeeeee-0000-0000-0000-000000000003"), IsVirtualDisk | IsUser, []);
        image.Item(new Guid("eeeeeeee-0000-0000-0000-000000000004"), IsUser, VhdxSample.Pattern(4, 100));
        image.Item(new Guid("eeeeeeee-0000-0000-0000-000000000005"), 0, VhdxSample.Pattern(5, 100));
        await image.SaveAsync(_folder.File("base.vhdx"));
        var (first, second) = (_folder.File("vms/first.avhdx"), _folder.File("vms/second.avhdx"));
        await ChildImage.CreateAsync(first, _folder.File("base.vhdx"), null, null, PathMap.Empty, None);
        await ChildImage.CreateAsync(second, first, null, null, PathMap.Empty, None);
        var expected = ItemsOf(await image.BuildAsync()).Where(item => item.Id.ToString().StartsWith("eeeeeeee", StringComparison.Ordinal)).Take(3);
        foreach (var child in new[] { first, second })
        {
            var file = new MemoryFile(await File.ReadAllBytesAsync(child, None));
            Assert.Equal(expected, ItemsOf(file).Where(item => item.Id.ToString().StartsWith("eeeeeeee", StringComparison.Ordinal)));
            Assert.Equal(0, (await VhdxCheck.RunAsync(file, None)).Errors);
        }

        await ChildImage.SetParentAsync(second, first, new ChainOptions(), None);
        Assert.Equal(3, (await DiskChain.DescribeAsync(second, new ChainOptions(), None)).Count);
    }

    /// <summary>Seconds between what the child recorded and when the parent's file was changed, or null: the footer's stamp.</summary>
    [Theory(Timeout = 20_000)]
    [InlineData(null, true)]
    [InlineData(0, true)]
    [InlineData(1, true)]
    [InlineData(3600, true)]
    [InlineData(-3600, true)]
    [InlineData(60, false)]
    [InlineData(7200, false)]
    public async Task A_vhd_is_the_parent_when_the_child_recorded_its_files_time_or_its_stamp(int? offBy, bool fits)
    {
        await new ForeignVhd { Kind = ForeignVhd.Dynamic, TimeStamp = 400_000_000 }.SaveAsync(_folder.File("base.vhd"));
        File.SetLastWriteTimeUtc(_folder.File("base.vhd"), Noon.AddMilliseconds(700));
        var recorded = offBy is int seconds ? (uint)((Noon - new DateTime(2000, 1, 1, 0, 0, 0, DateTimeKind.Utc)).TotalSeconds + seconds) : 400_000_000;
        var child = new ForeignVhd { Id = Guid.NewGuid(), ParentId = new ForeignVhd().Id, ParentStamp = recorded };
        child.Locator("W2ru", Encoding.Unicode.GetBytes(@"..\base.vhd"));
        await child.SaveAsync(_folder.File("vms/child.vhd"));
        if (fits)
        {
            Assert.Equal(2, (await DiskChain.DescribeAsync(_folder.File("vms/child.vhd"), new ChainOptions(), None)).Count);
            return;
        }

        var error = await Assert.ThrowsAsync<StorageException>(
            async () => await DiskChain.DescribeAsync(_folder.File("vms/child.vhd"), new ChainOptions(), None));
        Assert.Equal(StorageErrorKind.ParentMismatch, error.Kind);
        Assert.Contains("2021-06-07 12:00:00Z", error.Reason, StringComparison.Ordinal);
        Assert.Contains("set-parent --ignore-parent-mismatch", error.Reason, StringComparison.Ordinal);
        var ignoring = new ChainOptions { IgnoreParentMismatch = true };
        await ChildImage.SetParentAsync(_folder.File("vms/child.vhd"), _folder.File("base.vhd"), ignoring, None);
        Assert.Equal(2, (await DiskChain.DescribeAsync(_folder.File("vms/child.vhd"), new ChainOptions(), None)).Count);
    }

    private async Task SaveBaseAsync(string place)
    {
        var image = new ForeignVhdx { DataWriteGuid = new Guid(Linkage) };
        image.Block(2, FullyPresent, 8);
        image.Put(8 << 20, VhdxSample.Pattern(8, 65536));
        await image.SaveAsync(_folder.File(place));
    }

    /// <summary>A child whose third block has the second sector of its own.</summary>
    private async Task SaveChildAsync(params (string Key, string Value)[] pairs)
    {
        var image = new ForeignVhdx { DataWriteGuid = Guid.NewGuid(), Locator = LocatorOf(pairs) };
        image.Block(2, PartiallyPresent, 6);
        image.Bitmap(0, FullyPresent, 11);
        image.Put((11 << 20) + 1024, [0b10]);
        image.Put(6 << 20, VhdxSample.Pattern(6, 4096));
        await image.SaveAsync(_folder.File("vms/child.avhdx"));
    }

    private async ValueTask<IReadOnlyList<ChainLayer>> DescribeAsync() =>
        await DiskChain.DescribeAsync(_folder.File("vms/child.avhdx"), Options, None);

    private ChainOptions Options => new()
    {
        ReadOnly = true,
        Paths = PathMap.Parse([$"D:={_folder.File("drive")}", $"{Volume}={_folder.File("volume")}"]),
    };

    private async Task AssertShowsBaseAsync()
    {
        await using var disk = (await DiskChain.OpenAsync(_folder.File("vms/child.avhdx"), Options, None)).Device;
        var (below, own) = (VhdxSample.Pattern(8, 65536), VhdxSample.Pattern(6, 4096));
        own.AsSpan(512, 512).CopyTo(below.AsSpan(512));
        Assert.Equal(below, await VhdxSample.ReadAsync(disk, 4 << 20, 65536));
    }
}
