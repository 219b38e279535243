using Godwit.Storage.Chains;
using Godwit.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Chains;

public sealed class ParentSearchTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Places_come_in_the_order_of_the_specification_and_then_by_name()
    {
        var link = Link(
            (ParentPathKind.Absolute, @"C:\vms\base.vhdx"), (ParentPathKind.Relative, @"..\bases\base.vhdx"),
            (ParentPathKind.Volume, @"\\?\Volume{1}\vms\base.vhdx"));
        var map = PathMap.Parse([@"C:=/c", @"\\?\Volume{1}=/v"]);
        Assert.Equal(
            ["/vms/bases/base.vhdx", "/v/vms/base.vhdx", "/c/vms/base.vhdx", "/vms/web/base.vhdx"],
            ParentSearch.Places("/vms/web/child.avhdx", link, map));
    }

    [Fact]
    public void Drives_that_are_nowhere_leave_only_the_name_beside_the_child() =>
        Assert.Equal(
            ["/vms/base.vhdx"],
            ParentSearch.Places("/vms/child.avhdx", Link((ParentPathKind.Absolute, @"D:\x\base.vhdx")), PathMap.Empty));

    [Fact]
    public void Urls_and_absolute_paths_of_unix_are_understood() =>
        Assert.Equal(
            ["/a/base%20x.vhd", "/b/base y.vhd", "/vms/base%20x.vhd", "/vms/base%20y.vhd"],
            ParentSearch.Places(
                "/vms/child.vhd",
                Link((ParentPathKind.Absolute, "/a/base%20x.vhd"), (ParentPathKind.Url, "file:///b/base%20y.vhd")),
                PathMap.Empty));

    [Theory]
    [InlineData("")]
    [InlineData(@"..")]
    [InlineData("a\0b")]
    [InlineData("C:")]
    public void Hostile_names_lead_nowhere_and_break_nothing(string name)
    {
        var link = Link((ParentPathKind.Name, name), (ParentPathKind.Url, name), (ParentPathKind.Volume, name));
        Assert.Empty(ParentSearch.Places("/vms/child.vhdx", link, PathMap.Empty));
    }

    [Fact]
    public void A_name_in_another_spelling_is_found_when_there_is_only_one()
    {
        Directory.CreateDirectory(_folder.File("Disks"));
        File.WriteAllText(_folder.File("Disks/Base.VHDX"), "");
        Assert.Equal(_folder.File("Disks/Base.VHDX"), CaselessPath.Find(_folder.File("disks/base.vhdx")));
        File.WriteAllText(_folder.File("Disks/BASE.vhdx"), "");
        Assert.Null(CaselessPath.Find(_folder.File("disks/base.vhdx")));
        Assert.Equal(_folder.File("Disks/BASE.vhdx"), CaselessPath.Find(_folder.File("Disks/BASE.vhdx")));
        Assert.Null(CaselessPath.Find(_folder.File("nowhere/base.vhdx")));
    }

    private static ParentLink Link(params (ParentPathKind Kind, string Text)[] paths) =>
        new(Guid.NewGuid(), null, null, [.. paths.Select(path => new ParentPath(path.Kind, path.Text))]);
}
