using System.Diagnostics;
using Godwit.Storage;
using Godwit.Storage.Formats;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>What checks what it wrote itself, over our server: fio's NBD engine, and the kernel's ext4 on a loop device over nbdfuse.</summary>
public sealed class FileSystemInteropTests : IDisposable
{
    private const int Size = 64 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData(ImageFormat.Raw, "4k-4k")]
    [InlineData(ImageFormat.VhdxDynamic, "512-300k")]
    [InlineData(ImageFormat.VhdDynamic, "64k-1m")]
    public async Task Fio_reads_back_what_it_wrote_at_random_places(ImageFormat format, string blocks)
    {
        await using var disk = await OpenAsync(format);
        await using var server = new ServerUnderTest(disk);
        var result = await Tool.RunAsync(
            "fio", "--name=verify", "--ioengine=nbd", $"--uri={server.Uri()}", "--rw=randwrite", $"--bsrange={blocks}", "--blockalign=512", "--iodepth=16",
            "--randseed=7", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--verify_backlog=64", $"--directory={_folder.Path}", "--verify_state_save=0");
        result.Succeeded();
        Assert.Contains("err= 0", result.Output, StringComparison.Ordinal);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(ImageFormat.Raw)]
    [InlineData(ImageFormat.VhdxDynamic)]
    public async Task An_ext4_on_a_loop_device_over_nbdfuse_is_sound_and_whole_afterwards(ImageFormat format)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "mounting needs root");
        Assert.SkipUnless(File.Exists("/dev/fuse") && File.Exists("/dev/loop-control"), "this computer has no FUSE or no loop devices");
        foreach (var program in (string[])["nbdfuse", "mkfs.ext4", "e2fsck", "mount"])
            Tool.Require(program);
        await using var disk = await OpenAsync(format);
        await using var server = new ServerUnderTest(disk);
        await using var fuse = await FuseFile.MountAsync(server.Uri(), _folder.File("fuse"));
        (await Tool.RunAsync("mkfs.ext4", "-q", "-F", fuse.Path)).Succeeded();
        var content = new byte[20 << 20];
        new Random(3).NextBytes(content);
        await using (var mount = await LoopMount.MountAsync(fuse.Path, _folder.File("first")))
        {
            await File.WriteAllBytesAsync(mount.File("large"), content, None);
            for (var file = 0; file < 200; file++)
                await File.WriteAllBytesAsync(mount.File($"small{file}"), content[file..(file + 3000)], None);
            for (var file = 0; file < 200; file += 2)
                File.Delete(mount.File($"small{file}"));
        }

        (await Tool.RunAsync("e2fsck", "-f", "-n", fuse.Path)).Succeeded();
        await using (var mount = await LoopMount.MountAsync(fuse.Path, _folder.File("second")))
        {
            var (large, small) = (await File.ReadAllBytesAsync(mount.File("large"), None), await File.ReadAllBytesAsync(mount.File("small199"), None));
            Assert.True(content.AsSpan().SequenceEqual(large));
            Assert.True(content.AsSpan(199, 3000).SequenceEqual(small));
            Assert.False(File.Exists(mount.File("small198")));
        }
    }

    private async Task<BlockDevice> OpenAsync(ImageFormat format)
    {
        var path = _folder.File("disk");
        await DiskImage.CreateAsync(path, format, Size, null, None);
        return await DiskImage.OpenAsync(path, format, readOnly: false, None);
    }

    /// <summary>An export as a file, by nbdfuse.</summary>
    private sealed class FuseFile(Process program, string folder) : IAsyncDisposable
    {
        public string Path => System.IO.Path.Combine(folder, "disk");

        public static async Task<FuseFile> MountAsync(string uri, string folder)
        {
            Directory.CreateDirectory(folder);
            var program = ChildProgram.Start("nbdfuse", [$"{folder}/disk", uri], null, redirect: false);
            var file = new FuseFile(program, folder);
            for (var waited = 0; !File.Exists(file.Path); waited += 20)
            {
                if (program.HasExited || waited > 20_000)
                {
                    await file.DisposeAsync();
                    Assert.Skip("nbdfuse cannot mount here");
                }

                await Task.Delay(20);
            }

            return file;
        }

        public async ValueTask DisposeAsync()
        {
            await Tool.RunAsync("umount", "-l", folder);
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
            try
            {
                await program.WaitForExitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                program.Kill();
            }

            program.Dispose();
        }
    }

    /// <summary>A file system in a file, mounted through a loop device.</summary>
    private sealed class LoopMount(string folder) : IAsyncDisposable
    {
        public string File(string name) => Path.Combine(folder, name);

        public static async Task<LoopMount> MountAsync(string file, string folder)
        {
            Directory.CreateDirectory(folder);

            // Detached by the kernel with the mount.
            (await Tool.RunAsync("mount", "-o", "loop", "-t", "ext4", file, folder)).Succeeded();
            return new LoopMount(folder);
        }

        public async ValueTask DisposeAsync() => (await Tool.RunAsync("umount", folder)).Succeeded();
    }
}
