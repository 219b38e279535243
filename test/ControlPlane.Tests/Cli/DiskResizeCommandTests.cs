using System.Text.Json;
using Godwit.Cli;
using Godwit.Storage;
using Godwit.Storage.Formats;
using Godwit.Testing;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

/// <summary>godwit disk resize on the command line.</summary>
public sealed class DiskResizeCommandTests : IDisposable
{
    private const int MiB = 1 << 20;
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData("vhdx")]
    [InlineData("vhdx-fixed")]
    [InlineData("vhd")]
    [InlineData("vhd-fixed")]
    [InlineData("raw")]
    public async Task A_disk_grows_and_shrinks_after_a_dry_run(string format)
    {
        await MakeAsync(format);
        var dry = await RunAsync(0, "--size", "64M", "--dry-run");
        Assert.Contains($"{At("disk")} would get 64 MiB, has 32 MiB\n", dry.Error, StringComparison.Ordinal);
        Assert.Equal(32 * MiB, await SizeAsync());

        var grown = await RunAsync(0, "--size", "64M");
        Assert.Contains($"{At("disk")} has 64 MiB, had 32 MiB\n", grown.Error, StringComparison.Ordinal);
        Assert.Contains("the last one is partition 2 (Linux). To grow it in the guest:\n", grown.Error, StringComparison.Ordinal);
        Assert.Contains("growpart /dev/sdX 2, then resize2fs", grown.Error, StringComparison.Ordinal);

        var json = JsonDocument.Parse((await RunAsync(0, "--to-last-partition", "--json")).Out).RootElement;
        Assert.Equal(64 * MiB, json.GetProperty("oldSize").GetInt64());
        Assert.Equal(16 * MiB, json.GetProperty("size").GetInt64());
        Assert.Equal(16 * MiB, json.GetProperty("lastPartitionEnd").GetInt64());
        Assert.Equal("Mbr", json.GetProperty("partitionTable").GetString());
        Assert.False(json.GetProperty("backupTableMoved").GetBoolean());
        Assert.False(json.TryGetProperty("loss", out _));
        Assert.Equal(16 * MiB, await SizeAsync());
        Assert.Contains($"{At("disk")} has 16 MiB already\n", (await RunAsync(0, "--size", "16M")).Error, StringComparison.Ordinal);
        await using var disk = await DiskImage.OpenAsync(At("disk"), null, readOnly: true, Token);
        var bytes = new byte[4096];
        await disk.ReadAsync((16 * MiB) - 4096, bytes, Token);
        Assert.All(bytes, value => Assert.Equal(0x5a, value));
    }

    [Fact(Timeout = 60_000)]
    public async Task An_interrupt_leaves_the_size_and_says_how_to_go_on()
    {
        await MakeAsync("vhdx");
        using (var run = new CliRun { Folder = _folder.Path })
        {
            run.Interrupt();
            var result = await run.RunAsync("disk", "resize", "disk", "--size", "64M");
            Assert.Equal(ExitCode.Cancelled, result.Code);
            Assert.EndsWith("cancelled; the disk has its old size or the new one, and the same command finishes\n", result.Error, StringComparison.Ordinal);
        }

        Assert.Equal(32 << 20, (await DiskImage.DescribeAsync(At("disk"), Token)).Size);
        await RunAsync(0, "--size", "64M");
    }

    [Fact(Timeout = 60_000)]
    public async Task A_partition_is_not_cut_without_force()
    {
        await MakeAsync("vhdx");
        var refused = await RunAsync(ExitCode.Failed, "--size", "8M");
        Assert.Contains($"partition 2 (Linux) ends at {16 * MiB}: the smallest size is {16 * MiB} bytes", refused.Error, StringComparison.Ordinal);
        Assert.Equal(32 * MiB, await SizeAsync());
        var forced = await RunAsync(0, "--size", "8M", "--force");
        Assert.Contains("cut data off: partition 2 (Linux)", forced.Error, StringComparison.Ordinal);
        Assert.Equal(8 * MiB, await SizeAsync());
    }

    [Fact(Timeout = 60_000)]
    public async Task A_parent_keeps_its_size_unless_told_otherwise()
    {
        await MakeAsync("vhdx");
        using (var create = new CliRun { Folder = _folder.Path })
            Assert.Equal(0, (await create.RunAsync("disk", "create", "child.vhdx", "--parent", "disk")).Code);
        var refused = await RunAsync(ExitCode.Failed, "--size", "64M");
        Assert.Contains(At("child.vhdx"), refused.Error, StringComparison.Ordinal);
        Assert.Equal(32 * MiB, await SizeAsync());
        await RunAsync(0, "--size", "64M", "--orphan-children");
        Assert.Equal(64 * MiB, await SizeAsync());
    }

    [Fact(Timeout = 60_000)]
    public async Task A_disk_in_use_and_a_wrong_command_line_are_told()
    {
        await MakeAsync("vhdx");
        await using (await DiskImage.OpenAsync(At("disk"), null, readOnly: false, Token))
            Assert.Contains("remedy: stop the VM", (await RunAsync(ExitCode.Failed, "--size", "64M")).Error, StringComparison.Ordinal);
        foreach (var line in new[] { Array.Empty<string>(), ["--size", "64M", "--to-last-partition"] })
            Assert.Contains("give either --size SIZE or --to-last-partition", (await RunAsync(ExitCode.Usage, line)).Error, StringComparison.Ordinal);
        Assert.Contains("not whole 512-byte sectors", (await RunAsync(ExitCode.Failed, "--size", "1000")).Error, StringComparison.Ordinal);
    }

    private string At(string name) => Path.Combine(_folder.Path, name);

    private async Task<long> SizeAsync() => (await DiskImage.DescribeAsync(At("disk"), Token)).Size;

    /// <summary>32 MiB with two partitions, of which the second, full of bytes, ends at 16 MiB.</summary>
    private async Task MakeAsync(string format)
    {
        using var create = new CliRun { Folder = _folder.Path };
        Assert.Equal(0, (await create.RunAsync("disk", "create", "disk", "--size", "32M", "--format", format)).Code);
        var mbr = new byte[512];
        (mbr[510], mbr[511]) = (0x55, 0xaa);
        foreach (var (at, start) in new[] { (446, 4096), (462, 16384) })
        {
            mbr[at + 4] = 0x83;
            BitConverter.TryWriteBytes(mbr.AsSpan(at + 8), start);
            BitConverter.TryWriteBytes(mbr.AsSpan(at + 12), start == 4096 ? 8192 : 16384);
        }

        var bytes = new byte[8 * MiB];
        bytes.AsSpan().Fill(0x5a);
        await using var disk = await DiskImage.OpenAsync(At("disk"), null, readOnly: false, Token);
        await disk.WriteAsync(0, mbr, WriteFlags.None, Token);
        await disk.WriteAsync(8 * MiB, bytes, WriteFlags.None, Token);
    }

    private async Task<CliResult> RunAsync(int code, params string[] arguments)
    {
        using var run = new CliRun { Folder = _folder.Path };
        var result = await run.RunAsync(["disk", "resize", "disk", .. arguments]);
        Assert.True(code == result.Code, $"exit code {result.Code} instead of {code}: {result.Out}{result.Error}");
        return result;
    }
}
