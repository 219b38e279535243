using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Repair;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Storage.Tests.Repair;

/// <summary>Repaired files in the hands of programs that are not ours: qemu-img and 7-Zip.</summary>
[Trait("Tier", "process")]
public sealed class RepairToolsTests : IDisposable
{
    private const int MiB = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData("vhdx", 65536)]
    [InlineData("vhdx", 131072)]
    [InlineData("vhdx", 196608)]
    [InlineData("vhdx", 0)]
    [InlineData("vhd", 0)]
    [InlineData("vhd", -512)]
    [InlineData("vhd", 512)]
    public async Task What_was_repaired_is_whole_to_qemu_and_7zip(string extension, int at)
    {
        var (path, raw) = await MakeAsync(extension, at);
        var undo = path + ".undo";
        var damaged = await File.ReadAllBytesAsync(path, None);
        await using (var repair = ImageRepair.Open(path, readOnly: false, new RepairOptions()))
        {
            var plan = await repair.PlanAsync(None);
            Assert.True(plan.ChangesFile);
            await repair.ApplyAsync(plan, undo, RepairRig.Ignore, None);
            Assert.True((await repair.CheckAsync(plan, None)).IsSound);
        }

        var format = extension == "vhd" ? "vpc" : "vhdx";
        if (extension == "vhdx")
            await RunAsync("qemu-img", "check", "-f", format, path);
        await RunAsync("qemu-img", "compare", "-f", format, "-F", "raw", path, raw);
        await RunAsync("7zz", "t", path);
        await using (var repair = ImageRepair.Open(path, readOnly: false, new RepairOptions()))
            await repair.RestoreAsync(undo, evenIfChanged: false, RepairRig.Ignore, None);
        Assert.True(RepairRig.Same(damaged, await File.ReadAllBytesAsync(path, None)));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_log_that_qemu_left_dirty_is_replayed_as_qemu_does()
    {
        var path = _folder.File("dirty.vhdx");
        var copy = Path.Combine(Path.GetDirectoryName(path)!, "by-qemu.vhdx");
        await File.WriteAllBytesAsync(path, await DirtyAsync(), None);
        File.Copy(path, copy);
        await RunAsync("qemu-img", "check", "-f", "vhdx", "-r", "all", copy);
        await using (var repair = ImageRepair.Open(path, readOnly: false, new RepairOptions()))
            await repair.ApplyAsync(await repair.PlanAsync(None), path + ".undo", RepairRig.Ignore, None);
        await RunAsync("qemu-img", "check", "-f", "vhdx", path);
        await RunAsync("qemu-img", "compare", "-f", "vhdx", "-F", "vhdx", path, copy);
    }

    /// <summary>A dirty image of ours, whose unsealed entries are sealed so that others take them too.</summary>
    private static async Task<byte[]> DirtyAsync()
    {
        var image = new Testing.Files.CrashFile(await Formats.Vhdx.VhdxSample.CreateAsync());
        await using var disk = await Formats.Vhdx.VhdxSample.OpenAsync(image);
        await disk.WriteAsync(3 * MiB, Formats.Vhdx.VhdxSample.Pattern(1, 8192), WriteFlags.None, None);
        await disk.FlushAsync(None);
        return image.AfterPowerCut(image.EventCount, Testing.Files.PowerCut.FlushedOnly).ToArray();
    }

    private async Task<(string Path, string Raw)> MakeAsync(string extension, int at)
    {
        var path = _folder.File($"damaged.{extension}");
        var raw = _folder.File("content.raw");
        var content = Formats.Vhdx.VhdxSample.Pattern(at, 12 * MiB);
        content.AsSpan(4 * MiB, 4 * MiB).Clear();
        await File.WriteAllBytesAsync(raw, content, None);
        await DiskImage.CreateAsync(path, extension == "vhd" ? ImageFormat.VhdDynamic : ImageFormat.VhdxDynamic, content.Length, null, None);
        await using (var disk = await DiskImage.OpenAsync(path, null, readOnly: false, None))
        {
            await disk.WriteAsync(0, content.AsMemory(0, 4 * MiB), WriteFlags.None, None);
            await disk.WriteAsync(8 * MiB, content.AsMemory(8 * MiB), WriteFlags.None, None);
        }

        await using var file = LocalFile.Open(path, readOnly: false);
        await file.WriteAsync(at < 0 ? file.Length + at : at, new byte[16], None);
        return (path, raw);
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(50));
        var result = await ChildProgram.RunAsync(program, arguments, null, limit.Token);
        Assert.True(result.ExitCode == 0, $"{program} {string.Join(' ', arguments)}: {result}");
    }
}
