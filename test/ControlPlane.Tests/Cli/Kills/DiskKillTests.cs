using System.Globalization;
using Godwit.Storage.Formats;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli.Kills;

/// <summary>The built program, killed or interrupted at any moment: what it leaves is sound, and the same command makes it whole.</summary>
public sealed class DiskKillTests
{
    /// <summary>GODWIT_KILLS makes it a soak test.</summary>
    private static int Kills =>
        int.TryParse(Environment.GetEnvironmentVariable("GODWIT_KILLS"), CultureInfo.InvariantCulture, out var kills) ? kills : 4;

    [Theory(Timeout = 600_000)]
    [InlineData("compact vhdx")]
    [InlineData("compact vhd")]
    [InlineData("resize vhdx, larger table")]
    [InlineData("resize vhdx, smaller")]
    [InlineData("resize vhdx-fixed, larger")]
    [InlineData("resize vhd, larger table")]
    [InlineData("repair in place")]
    [InlineData("repair to a copy")]
    [InlineData("merge vhdx")]
    [InlineData("merge several vhdx")]
    [InlineData("merge vhd")]
    [InlineData("merge the leaf")]
    [InlineData("rebase")]
    [InlineData("convert to vhd")]
    [InlineData("convert to vhdx")]
    public async Task Killed_at_any_moment_it_leaves_sound_files_and_the_same_command_finishes(string name)
    {
        using var rig = new KillRig(CaseOf(name));
        await rig.StartAsync();
        await rig.KillAsync(Kills);
        Assert.NotEqual(0, rig.Hits.Midway);
    }

    [Theory(Timeout = 600_000)]
    [InlineData("compact vhdx", "the image is sound, and the same command goes on")]
    [InlineData("repair in place", "nothing was repaired, and the same command begins again")]
    [InlineData("repair to a copy", "nothing of the new file is left")]
    [InlineData("merge vhdx", "the chain reads as before, and the same command begins again")]
    [InlineData("rebase", "the image reads as before, and the same command begins again")]
    [InlineData("convert to vhd", "nothing of the new file is left")]
    public async Task Interrupted_it_says_how_to_go_on_and_the_same_command_finishes(string name, string advice)
    {
        using var rig = new KillRig(CaseOf(name));
        await rig.StartAsync();
        await rig.InterruptAsync(hits: Kills / 2, advice);
        Assert.NotEqual(0, rig.Hits.Midway);
    }

    private static KillCase CaseOf(string name) => name switch
    {
        "compact vhdx" => new CompactCase(ImageFormat.VhdxDynamic),
        "compact vhd" => new CompactCase(ImageFormat.VhdDynamic),
        "resize vhdx, larger table" => new ResizeCase(ImageFormat.VhdxDynamic, 1L << 30, 8L << 40),
        "resize vhdx, smaller" => new ResizeCase(ImageFormat.VhdxDynamic, 8L << 40, 1L << 30),
        "resize vhdx-fixed, larger" => new ResizeCase(ImageFormat.VhdxFixed, 64 << 20, 2L << 30),
        "resize vhd, larger table" => new ResizeCase(ImageFormat.VhdDynamic, 1L << 30, 2040L << 30),
        "repair in place" => new RepairCase(),
        "repair to a copy" => new RepairCopyCase(),
        "merge vhdx" => new MergeCase(ImageFormat.VhdxDynamic, several: false),
        "merge several vhdx" => new MergeCase(ImageFormat.VhdxDynamic, several: true),
        "merge vhd" => new MergeCase(ImageFormat.VhdDynamic, several: false),
        "merge the leaf" => new MergeLeafCase(),
        "rebase" => new RebaseCase(),
        "convert to vhd" => new ConvertCase(ImageFormat.VhdxDynamic, "t.vhd"),
        _ => new ConvertCase(ImageFormat.VhdDynamic, "t.vhdx"),
    };
}
