using Godwit.Storage.Chains;
using Xunit;

namespace Godwit.Storage.Tests.Chains;

public sealed class PathMapTests
{
    private static readonly PathMap Map = PathMap.Parse([@"C:=/srv/c", @"\\files\vms=/mnt/vms", @"C:\Deep\Place=/deep", @"\\?\Volume{abc}=/vol"]);

    [Theory]
    [InlineData(@"C:\disks\base.vhdx", "/srv/c/disks/base.vhdx")]
    [InlineData(@"c:/disks/base.vhdx", "/srv/c/disks/base.vhdx")]
    [InlineData(@"\\?\C:\disks\base.vhdx", "/srv/c/disks/base.vhdx")]
    [InlineData(@"\\FILES\VMs\base.vhdx", "/mnt/vms/base.vhdx")]
    [InlineData(@"\\?\UNC\files\vms\a\b.vhdx", "/mnt/vms/a/b.vhdx")]
    [InlineData(@"C:\deep\place\x.vhdx", "/deep/x.vhdx")]
    [InlineData(@"\\?\Volume{ABC}\x.vhdx", "/vol/x.vhdx")]
    [InlineData(@"C:", "/srv/c")]
    public void A_path_of_windows_is_found_under_the_longest_prefix(string windows, string here) => Assert.Equal(here, Map.Translate(windows));

    [Theory]
    [InlineData(@"D:\base.vhdx")]
    [InlineData(@"CD:\base.vhdx")]
    [InlineData(@"\\files\vms2\base.vhdx")]
    [InlineData("base.vhdx")]
    [InlineData("")]
    public void What_no_entry_covers_has_no_place(string windows) => Assert.Null(Map.Translate(windows));

    [Theory]
    [InlineData("C:")]
    [InlineData("=/srv")]
    [InlineData("C:=")]
    [InlineData("C:=srv/c")]
    public void An_entry_that_is_none_is_refused_by_name(string entry)
    {
        var error = Assert.Throws<StorageException>(() => PathMap.Parse([entry]));
        Assert.Equal(StorageErrorKind.InvalidRequest, error.Kind);
        Assert.Contains($"\"{entry}\"", error.Message, StringComparison.Ordinal);
    }
}
