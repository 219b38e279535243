using System.Text.Json;
using Godwit.Storage.Formats;
using Godwit.Storage.Partitions;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Storage.Tests.Partitions;

/// <summary>Tables made by sfdisk are read as sfdisk reads them.</summary>
[Trait("Tier", "process")]
public sealed class SfdiskTests : IDisposable
{
    private const int MiB = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData("gpt", "start=2048,size=4096,name=\"one\"\nsize=10240,type=U\nsize=4096,type=S\n")]
    [InlineData("gpt", "size=4096\nsize=8192\n")]
    [InlineData("dos", "size=4096,type=7\nsize=8192,type=c\n")]
    [InlineData("dos", "size=4096\ntype=5\nsize=2048\nsize=4096\nsize=1024,type=82\n")]
    public async Task Partitions_are_those_sfdisk_lists(string label, string script)
    {
        Assert.SkipWhen(Program() is null, "sfdisk is not installed");
        var path = _folder.File("disk.raw");
        await using (var created = File.Create(path))
            created.SetLength(64 * MiB);
        await RunAsync("--label", label, script, path);
        await using var disk = await DiskImage.OpenAsync(path, ImageFormat.Raw, readOnly: true, None);
        var table = await PartitionTable.ReadAsync(disk, None);

        var listed = await ChildProgram.RunAsync(Program()!, ["--json", path], null, None);
        using var json = JsonDocument.Parse(listed.Output);
        var expected = json.RootElement.GetProperty("partitiontable").GetProperty("partitions").EnumerateArray()
            .Select(one => (one.GetProperty("start").GetInt64() * 512, one.GetProperty("size").GetInt64() * 512,
                label == "gpt" ? one.GetProperty("type").GetString()!.ToLowerInvariant() : one.GetProperty("type").GetString()!.PadLeft(2, '0')))
            .ToList();
        Assert.Equal(label == "gpt" ? PartitionScheme.Gpt : PartitionScheme.Mbr, table.Scheme);
        Assert.Equal(expected, table.Partitions.Select(one => (one.Start, one.Length, one.Type)));
        Assert.Empty(table.Problems);
        if (label == "gpt")
            Assert.True(table.Gpt is { Primary: not null, Backup: not null });
    }

    [Fact(Timeout = 60_000)]
    public async Task Sfdisk_finds_nothing_wrong_with_a_table_whose_backup_moved()
    {
        Assert.SkipWhen(Program() is null, "sfdisk is not installed");
        var path = _folder.File("disk.raw");
        await using (var created = File.Create(path))
            created.SetLength(64 * MiB);
        await RunAsync("--label", "gpt", "size=4096\nsize=8192\n", path);
        await using (var disk = await DiskImage.OpenAsync(path, ImageFormat.Raw, readOnly: false, None))
            await GptMove.RunAsync(disk, (await PartitionTable.ReadAsync(disk, None)).Gpt!, 16 * MiB, None);
        await using (var file = File.OpenWrite(path))
            file.SetLength(16 * MiB);
        var verified = await ChildProgram.RunAsync(Program()!, ["--verify", path], null, None);
        Assert.True(verified.ExitCode == 0, verified.ToString());
        Assert.Contains("No errors detected", verified.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("mismatch", verified.ToString(), StringComparison.Ordinal);
    }

    private static string? Program() => Array.Find(["/usr/sbin/sfdisk", "/sbin/sfdisk", "/usr/bin/sfdisk"], File.Exists);

    /// <summary>Runs sfdisk with a script, which it only takes from its standard input.</summary>
    private async Task RunAsync(string option, string label, string script, string path)
    {
        var input = _folder.File("script");
        await File.WriteAllTextAsync(input, script, None);
        var result = await ChildProgram.RunAsync(
            "/bin/sh", ["-c", "exec \"$0\" \"$1\" \"$2\" --quiet \"$3\" < \"$4\"", Program()!, option, label, path, input], null, None);
        Assert.True(result.ExitCode == 0, result.ToString());
    }
}
