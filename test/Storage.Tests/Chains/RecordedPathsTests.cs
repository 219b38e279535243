using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Chains;

/// <summary>A parent that was found although paths to it are out of date.</summary>
public sealed class RecordedPathsTests : IDisposable
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("vhdx")]
    [InlineData("vhd")]
    public async Task A_path_that_leads_elsewhere_beside_one_that_leads_there_is_a_remark(string extension)
    {
        var (parent, child) = await CreateAsync(extension);
        Assert.Empty(await CheckAsync(child, PathMap.Empty));
        var link = (await DiskImage.DescribeAsync(child, None)).Parent!;
        await SetAsync(child, link with { Paths = [.. link.Paths.Where(path => path.Kind == ParentPathKind.Relative), new(ParentPathKind.Absolute, $@"C:\old\base.{extension}")] });

        // Nobody knows here whether Windows' drive C has it.
        Assert.Empty(await CheckAsync(child, PathMap.Empty));
        var finding = Assert.Single(await CheckAsync(child, PathMap.Parse([$"C:={_folder.Path}"])));
        Assert.Equal(CheckSeverity.Information, finding.Severity);
        Assert.Contains(parent, finding.Message, StringComparison.Ordinal);
        Assert.Contains($@"C:\old\base.{extension}", finding.Message, StringComparison.Ordinal);
        Assert.Contains("godwit disk set-parent", finding.Message, StringComparison.Ordinal);
        await ChildImage.SetParentAsync(child, parent, new ChainOptions(), None);
        Assert.Empty(await CheckAsync(child, PathMap.Parse([$"C:={_folder.Path}"])));
    }

    [Theory]
    [InlineData("vhdx")]
    [InlineData("vhd")]
    public async Task A_parent_that_only_its_name_found_is_a_warning(string extension)
    {
        var (parent, child) = await CreateAsync(extension);
        var link = (await DiskImage.DescribeAsync(child, None)).Parent!;
        await SetAsync(child, link with { Paths = [new(ParentPathKind.Relative, $@"..\gone\base.{extension}")] });
        var finding = Assert.Single(await CheckAsync(child, PathMap.Empty));
        Assert.Equal(CheckSeverity.Warning, finding.Severity);
        Assert.Contains("by its name alone", finding.Message, StringComparison.Ordinal);
        await ChildImage.SetParentAsync(child, parent, new ChainOptions(), None);
        Assert.Empty(await CheckAsync(child, PathMap.Empty));
    }

    [Fact]
    public async Task A_symbolic_link_to_the_parent_leads_there()
    {
        var (parent, child) = await CreateAsync("vhdx");
        Directory.CreateSymbolicLink(_folder.File("link"), _folder.Path);
        var link = (await DiskImage.DescribeAsync(child, None)).Parent!;
        await SetAsync(child, link with { Paths = [new(ParentPathKind.Relative, @".\base.vhdx"), new(ParentPathKind.Absolute, $@"C:\base.vhdx")] });
        Assert.Empty(await CheckAsync(child, PathMap.Parse([$"C:={_folder.File("link")}"])));
        Assert.True(File.Exists(parent));
    }

    private static Task SetAsync(string child, ParentLink link) =>
        LayerLinks.SetParentAsync(child, child.EndsWith('x') ? ImageFormat.VhdxDifferencing : ImageFormat.VhdDifferencing, link, None).AsTask();

    private static async Task<IReadOnlyList<CheckFinding>> CheckAsync(string child, PathMap map)
    {
        var layers = await ChainCheck.RunAsync(child, new ChainOptions { Paths = map }, None);
        Assert.Equal(2, layers.Count);
        Assert.Equal(layers[0].Report.Findings.Count(one => one.Severity == CheckSeverity.Warning), layers[0].Report.Warnings);
        return layers[0].Report.Findings;
    }

    private async Task<(string Parent, string Child)> CreateAsync(string extension)
    {
        var (parent, child) = (_folder.File($"base.{extension}"), _folder.File($"child.{extension}"));
        await DiskImage.CreateAsync(parent, extension == "vhdx" ? ImageFormat.VhdxDynamic : ImageFormat.VhdDynamic, 4 << 20, null, None);
        await ChildImage.CreateAsync(child, parent, null, null, PathMap.Empty, None);
        return (parent, child);
    }
}
