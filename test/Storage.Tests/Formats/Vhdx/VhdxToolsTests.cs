using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhdx.VhdxSample;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>Images exchanged with programs that are not ours: qemu-img, qemu-io, 7-Zip.</summary>
[Trait("Tier", "process")]
public sealed class VhdxToolsTests : IDisposable
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData(1, false)]
    [InlineData(32, false)]
    [InlineData(256, false)]
    [InlineData(8, true)]
    public async Task Qemu_and_7zip_read_what_we_wrote(int blockMebibytes, bool fixedSize)
    {
        const int Size = (20 * MiB) + 4096;
        var (path, raw) = await WriteOursAsync(Size, blockMebibytes * MiB, fixedSize);
        await RunAsync("qemu-img", "check", "-f", "vhdx", path);
        await RunAsync("qemu-img", "compare", "-f", "vhdx", "-F", "raw", path, raw);
        if (SevenZip() is string sevenZip)
            Assert.Equal(await File.ReadAllBytesAsync(raw, None), await ExtractAsync(sevenZip, path));
        await RunAsync("qemu-io", "-f", "vhdx", "-c", "write -P 0x77 3M 64k", "-c", "write -P 0x78 17M 64k", path);
        await using var disk = await OpenAsync(LocalFile.Open(path, false));
        Assert.All(await ReadAsync(disk, 3 * MiB, 65536), value => Assert.Equal(0x77, value));
        Assert.All(await ReadAsync(disk, 17 * MiB, 65536), value => Assert.Equal(0x78, value));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("subformat=dynamic")]
    [InlineData("subformat=dynamic,block_size=1048576")]
    [InlineData("subformat=fixed")]
    [InlineData("subformat=dynamic,block_state_zero=off")]
    public async Task We_read_and_write_what_qemu_made(string options)
    {
        var raw = _folder.File("source.raw");
        var content = Pattern(1, (12 * MiB) + 512);
        content.AsSpan(4 * MiB, 3 * MiB).Clear();
        await File.WriteAllBytesAsync(raw, content, None);
        var path = _folder.File("qemu.vhdx");
        await RunAsync("qemu-img", "convert", "-O", "vhdx", "-o", options, raw, path);
        var report = await CheckAsync(path);
        Assert.True(report.IsSound, string.Join("; ", report.Findings));

        await using (var disk = await OpenAsync(LocalFile.Open(path, false)))
        {
            Assert.Equal(content, (await ReadAsync(disk, 0, (int)disk.Length))[..content.Length]);
            foreach (var place in new[] { 0, 5 * MiB, content.Length - 512 })
            {
                var bytes = Pattern(place, 512);
                await disk.WriteAsync(place, bytes, WriteFlags.None, None);
                bytes.CopyTo(content, place);
            }

            await disk.TrimAsync(8 * MiB, MiB, None);
            content.AsSpan(8 * MiB, MiB).Clear();
        }

        await File.WriteAllBytesAsync(raw, content, None);
        await RunAsync("qemu-img", "check", "-f", "vhdx", path);
        await RunAsync("qemu-img", "compare", "-f", "vhdx", "-F", "raw", path, raw);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Qemu_replays_a_log_we_left(int pages)
    {
        var path = _folder.File("dirty.vhdx");
        await using (var file = LocalFile.Create(path))
            await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = 4096L * MiB, BlockSize = MiB }, None);
        var copy = _folder.File("copy.vhdx");
        await using (var disk = await OpenAsync(LocalFile.Open(path, false)))
        {
            for (var index = 0; index < 150; index++)
                await disk.WriteAsync(((index % pages * 512L) + (index / pages)) * MiB, Pattern(index, 4096), WriteFlags.None, None);
            await RunAsync("cp", path, copy);
        }

        await RunAsync("qemu-img", "check", "-r", "all", "-f", "vhdx", copy);
        await RunAsync("qemu-img", "compare", "-f", "vhdx", "-F", "vhdx", copy, path);
    }

    [Fact(Timeout = 60_000)]
    public async Task We_replay_a_log_qemu_left_when_it_was_killed()
    {
        var path = _folder.File("killed.vhdx");
        Assert.SkipUnless(File.Exists("/usr/bin/strace"), "strace is needed to kill qemu-io at a chosen flush");
        var replayed = false;
        for (var attempt = 0; attempt < 40 && !replayed; attempt++)
        {
            // Seven flushes belong to each allocation, spread over qemu's threads as it happens; strace counts per thread.
            var flush = 4 + (attempt % 3);
            await RunAsync("qemu-img", "create", "-f", "vhdx", "-o", "block_size=1048576", path, "64M");
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
            await ChildProgram.RunAsync(
                "strace",
                ["-f", "-qq", "-o", _folder.File("trace"), "-e", "trace=fdatasync", "-e", $"inject=fdatasync:signal=KILL:when={flush}",
                    "qemu-io", "-f", "vhdx", "-c", "write -P 7 1M 4k", "-c", "write -P 7 2M 4k", path],
                null,
                limit.Token);
            replayed = await IsDirtyAsync(path) && await TryReplayAsync(path);
            await RunAsync("qemu-img", "check", "-r", "all", "-f", "vhdx", path);
        }

        Assert.SkipUnless(replayed, "qemu-io was never killed between a log entry and its end");
    }

    private static async Task<bool> IsDirtyAsync(string path)
    {
        await using var file = LocalFile.Open(path, true);
        return (await VhdxHeaders.ReadAsync(file, VhdxFindings.Strict(file), None)).Current.HasLog;
    }

    /// <summary>Opens what QEMU left; false when it had named its log but not yet written an entry.</summary>
    private static async Task<bool> TryReplayAsync(string path)
    {
        var report = await CheckAsync(path);
        Assert.True(report.IsSound, string.Join("; ", report.Findings));
        var hasEntry = report.Warnings == 0;
        await (await OpenAsync(LocalFile.Open(path, false))).DisposeAsync();
        Assert.Equal(!hasEntry, await IsDirtyAsync(path));
        if (hasEntry)
            return true;
        await using (var disk = await OpenAsync(LocalFile.Open(path, false)))
            await disk.WriteAsync(5 * MiB, Pattern(5, 4096), WriteFlags.None, None);
        Assert.False(await IsDirtyAsync(path));
        return false;
    }

    private async Task<(string Path, string Raw)> WriteOursAsync(int size, int blockSize, bool fixedSize)
    {
        var path = _folder.File("ours.vhdx");
        await using (var file = LocalFile.Create(path))
            await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = size, BlockSize = blockSize, Fixed = fixedSize }, None);
        var content = new byte[size];
        await using (var disk = await OpenAsync(LocalFile.Open(path, false)))
        {
            foreach (var (place, length) in new[] { (0, 5000 * 512), (7 * MiB, 3 * MiB), (size - 512, 512) })
            {
                var bytes = Pattern(place, length);
                await disk.WriteAsync(place, bytes, WriteFlags.None, None);
                bytes.CopyTo(content, place);
            }

            await disk.TrimAsync(8 * MiB, MiB, None);
            content.AsSpan(8 * MiB, MiB).Clear();
        }

        var raw = _folder.File("expected.raw");
        await File.WriteAllBytesAsync(raw, content, None);
        return (path, raw);
    }

    private async Task<byte[]> ExtractAsync(string sevenZip, string path)
    {
        var target = _folder.File("extracted");
        await RunAsync(sevenZip, "x", "-y", "-tVHDX", $"-o{target}", path);
        return await File.ReadAllBytesAsync(Assert.Single(Directory.GetFiles(target)), None);
    }

    private static async Task<CheckReport> CheckAsync(string path)
    {
        await using var file = LocalFile.Open(path, readOnly: true);
        return await VhdxCheck.RunAsync(file, None);
    }

    private static string? SevenZip() => Array.Find(["/usr/bin/7zz", "/usr/bin/7z"], File.Exists);

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(50));
        var result = await ChildProgram.RunAsync(program, arguments, null, limit.Token);
        Assert.True(result.ExitCode == 0, result.ToString());
    }
}
