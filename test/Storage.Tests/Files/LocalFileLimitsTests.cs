using Godwit.Storage.Files;
using Godwit.Storage.Interop;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Storage.Tests.Files;

/// <summary>What only a real kernel can show: a full file system, a block device, a flush that fails.</summary>
public sealed class LocalFileLimitsTests : IDisposable
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = 20_000)]
    public async Task A_full_file_system_is_no_space_and_the_length_stays_true()
    {
        var mounted = await ChildProgram.RunAsync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", _folder.Path], null, None);
        Assert.SkipUnless(mounted.ExitCode == 0, $"cannot mount a small file system: {mounted.Error.Trim()}");
        try
        {
            await using var file = LocalFile.Create(_folder.File("a"));
            var write = await Assert.ThrowsAsync<StorageException>(() => file.WriteAsync(0, new byte[2 << 20], None).AsTask());
            Assert.Equal((StorageErrorKind.NoSpace, file.Path), (write.Kind, write.Path));
            Assert.Equal(new FileInfo(file.Path).Length, file.Length);

            await file.SetLengthAsync(0, None);
            await file.SetLengthAsync(4 << 20, None);
            var reserve = await Assert.ThrowsAsync<StorageException>(() => file.AllocateZeroesAsync(0, 4 << 20, None).AsTask());
            Assert.Equal(StorageErrorKind.NoSpace, reserve.Kind);
            var atomic = Assert.Throws<StorageException>(() => LocalFolder.WriteAtomically(_folder.File("b"), new byte[2 << 20]));
            Assert.Equal(StorageErrorKind.NoSpace, atomic.Kind);
            Assert.Equal([file.Path], Directory.GetFiles(_folder.Path));
        }
        finally
        {
            (await ChildProgram.RunAsync("umount", [_folder.Path], null, None)).Succeeded();
        }
    }

    [Fact(Timeout = 20_000)]
    public async Task A_block_device_is_a_file_of_fixed_size()
    {
        var backing = _folder.File("backing");
        await using (var file = LocalFile.Create(backing))
            await file.SetLengthAsync(4 << 20, None);
        var attached = await ChildProgram.RunAsync("losetup", ["--find", "--show", backing], null, None);
        Assert.SkipUnless(attached.ExitCode == 0, $"no loop device to be had: {attached.Error.Trim()}");
        var path = attached.Output.Trim();
        try
        {
            await using var device = LocalFile.Open(path, readOnly: false);
            Assert.Equal(4 << 20, device.Length);
            var bytes = new byte[8192];
            new Random(1).NextBytes(bytes);
            await device.WriteAsync((4 << 20) - 8192, bytes, None);
            await device.FlushAsync(None);
            await device.PunchHoleAsync((4 << 20) - 8192, 4096, None);
            var read = new byte[8192];
            await device.ReadAsync((4 << 20) - 8192, read, None);
            Assert.Equal([.. new byte[4096], .. bytes[4096..]], read);
            Assert.Equal(ExtentKind.Data, (await device.GetExtentAsync((4 << 20) - 4096, 4096, None)).Kind);
            var grow = await Assert.ThrowsAsync<StorageException>(() => device.SetLengthAsync(8 << 20, None).AsTask());
            Assert.Equal(StorageErrorKind.Unsupported, grow.Kind);
            var past = await Assert.ThrowsAsync<StorageException>(() => device.WriteAsync(4 << 20, bytes, None).AsTask());
            Assert.Equal(StorageErrorKind.NoSpace, past.Kind);
            Assert.Equal(4 << 20, device.Length);
        }
        finally
        {
            (await ChildProgram.RunAsync("losetup", ["--detach", path], null, None)).Succeeded();
        }
    }

    [Fact(Timeout = 20_000)]
    public async Task After_a_failed_flush_every_later_one_fails_and_says_why()
    {
        // The kernel refuses to flush a pipe: the one failure that can be had without a broken disk.
        var path = _folder.File("pipe");
        (await ChildProgram.RunAsync("mkfifo", [path], null, None)).Succeeded();
        using var pipe = FileDescriptor.Open(path, LibC.OpenReadWrite);
        var queue = new FlushQueue(pipe);
        var first = await Assert.ThrowsAsync<StorageException>(() => queue.FlushAsync().AsTask());
        Assert.Equal((StorageErrorKind.IoFailed, path), (first.Kind, first.Path));
        var second = await Assert.ThrowsAsync<StorageException>(() => queue.FlushAsync().AsTask());
        Assert.Contains("an earlier flush failed", second.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(28, StorageErrorKind.NoSpace)]
    [InlineData(122, StorageErrorKind.NoSpace)]
    [InlineData(13, StorageErrorKind.AccessDenied)]
    [InlineData(1, StorageErrorKind.AccessDenied)]
    [InlineData(30, StorageErrorKind.AccessDenied)]
    [InlineData(2, StorageErrorKind.NotFound)]
    [InlineData(17, StorageErrorKind.AlreadyExists)]
    [InlineData(11, StorageErrorKind.InUse)]
    [InlineData(5, StorageErrorKind.IoFailed)]
    public void Error_numbers_have_their_kind(int errno, StorageErrorKind kind) => Assert.Equal(kind, Errno.ToKind(errno));
}
