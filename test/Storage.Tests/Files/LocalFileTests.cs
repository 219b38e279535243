using System.Diagnostics;
using Godwit.Storage.Files;
using Godwit.Storage.Tests.Interop;
using Godwit.Testing;
using Godwit.Testing.Files;
using Godwit.Testing.Hosts;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace Godwit.Storage.Tests.Files;

public sealed class LocalFileTests : IDisposable
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_second_opening_for_writing_is_refused_as_in_use()
    {
        var path = _folder.File("a");
        await using (LocalFile.Create(path))
            Refused(StorageErrorKind.InUse, () => LocalFile.Open(path, readOnly: true));
        await using var reader = LocalFile.Open(path, readOnly: true);
        await using var another = LocalFile.Open(path, readOnly: true);
        Refused(StorageErrorKind.InUse, () => LocalFile.Open(path, readOnly: false));
        Assert.Equal(reader.Identity, another.Identity);
    }

    [Fact]
    public async Task A_closed_file_is_free_though_a_program_being_started_still_holds_a_copy_of_the_descriptor()
    {
        var path = _folder.File("a");
        var file = LocalFile.Create(path);
        using var copy = new SafeFileHandle(LibC.Duplicate(OpenDescriptors.Of(path).Single()), true);
        Assert.False(copy.IsInvalid);
        await file.DisposeAsync();
        await LocalFile.Open(path, readOnly: false).DisposeAsync();
    }

    [Fact]
    public void What_cannot_be_opened_says_why()
    {
        Refused(StorageErrorKind.NotFound, () => LocalFile.Open(_folder.File("missing"), readOnly: true));
        Refused(StorageErrorKind.NotFound, () => LocalFile.Create(_folder.File("missing/a")));
        Refused(StorageErrorKind.InvalidRequest, () => LocalFile.Open(_folder.Path, readOnly: true));
        Refused(StorageErrorKind.InvalidRequest, () => LocalFile.Open(_folder.Path, readOnly: false));
        Refused(StorageErrorKind.InvalidRequest, () => LocalFile.Open("/dev/null", readOnly: false));
        Refused(StorageErrorKind.InvalidRequest, () => LocalFile.Open("", readOnly: true));
        Refused(StorageErrorKind.InvalidRequest, () => LocalFile.Open("a\0b", readOnly: true));
        Refused(StorageErrorKind.InvalidRequest, () => LocalFile.Open(_folder.File(new string('x', 300)), readOnly: true));
    }

    [Fact(Timeout = 20_000)]
    public async Task A_named_pipe_in_place_of_an_image_does_not_hang()
    {
        var path = _folder.File("pipe");
        (await ChildProgram.RunAsync("mkfifo", [path], null, None)).Succeeded();
        Refused(StorageErrorKind.InvalidRequest, () => LocalFile.Open(path, readOnly: true));
    }

    [Fact]
    public async Task Creating_an_existing_file_is_refused_and_a_new_one_is_private()
    {
        var path = _folder.File("a");
        await using var file = LocalFile.Create(path);
        Refused(StorageErrorKind.AlreadyExists, () => LocalFile.Create(path));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
    }

    [Fact]
    public async Task A_file_cut_by_someone_else_gives_a_clear_error()
    {
        var path = _folder.File("a");
        await using var file = LocalFile.Create(path);
        await file.WriteAsync(0, new byte[] { 1, 2, 3, 4 }, None);
        await file.SetLengthAsync(1 << 20, None);
        (await ChildProgram.RunAsync("truncate", ["-s", "2", path], null, None)).Succeeded();

        var read = await Assert.ThrowsAsync<StorageException>(async () => await file.ReadAsync(0, new byte[512], None));
        Assert.Equal(StorageErrorKind.Corrupt, read.Kind);
        Assert.Contains("ends at 2", read.Message, StringComparison.Ordinal);
        var extent = await Assert.ThrowsAsync<StorageException>(async () => await file.GetExtentAsync(4096, 4096, None));
        Assert.Equal(StorageErrorKind.Corrupt, extent.Kind);
    }

    [Fact]
    public async Task A_deleted_file_can_still_be_read_and_written()
    {
        var path = _folder.File("a");
        await using var file = LocalFile.Create(path);
        File.Delete(path);
        await file.WriteAsync(0, new byte[512], None);
        await file.FlushAsync(None);
        await file.ReadAsync(0, new byte[512], None);
    }

    [Fact]
    public async Task A_reader_cannot_change_the_file()
    {
        var path = _folder.File("a");
        await using (var writer = LocalFile.Create(path))
            await writer.SetLengthAsync(4096, None);
        await using var file = LocalFile.Open(path, readOnly: true);
        Func<Task>[] changes =
        [
            () => file.WriteAsync(0, new byte[1], None).AsTask(),
            () => file.SetLengthAsync(1, None).AsTask(),
            () => file.PunchHoleAsync(0, 1, None).AsTask(),
            () => file.AllocateZeroesAsync(0, 1, None).AsTask(),
        ];
        foreach (var change in changes)
            Assert.Equal(StorageErrorKind.ReadOnly, (await Assert.ThrowsAsync<StorageException>(change)).Kind);
    }

    [Fact]
    public async Task A_punched_hole_gives_its_space_back()
    {
        await using var file = LocalFile.Create(_folder.File("a"));
        await file.WriteAsync(0, new byte[4 << 20], None);
        var before = file.AllocatedBytes;
        await file.PunchHoleAsync(1 << 20, 2 << 20, None);
        Assert.True(before - file.AllocatedBytes >= 2 << 20, $"{before} bytes before, {file.AllocatedBytes} after");
        Assert.Equal(new Extent(1 << 20, 2 << 20, ExtentKind.Hole), await file.GetExtentAsync(1 << 20, 3 << 20, None));
    }

    [Fact]
    public async Task What_has_become_a_hole_is_no_data_any_more()
    {
        await using var file = LocalFile.Create(_folder.File("a"));
        await file.WriteAsync(0, new byte[4 << 20], None);
        Assert.Equal(new Extent(4096, 65536, ExtentKind.Data), await file.GetExtentAsync(4096, 65536, None));
        await file.PunchHoleAsync(1 << 20, 1 << 20, None);
        Assert.Equal(new Extent(0, 1 << 20, ExtentKind.Data), await file.GetExtentAsync(0, 4 << 20, None));
        Assert.Equal(new Extent(1 << 20, 1 << 20, ExtentKind.Hole), await file.GetExtentAsync(1 << 20, 3 << 20, None));
        Assert.Equal(new Extent(2 << 20, 2 << 20, ExtentKind.Data), await file.GetExtentAsync(2 << 20, 2 << 20, None));
        await file.SetLengthAsync(2 << 20, None);
        await file.SetLengthAsync(4 << 20, None);
        Assert.Equal(new Extent(2 << 20, 2 << 20, ExtentKind.Hole), await file.GetExtentAsync(2 << 20, 2 << 20, None));
        await file.WriteAsync(3 << 20, new byte[4096], None);
        Assert.Equal(new Extent(2 << 20, 1 << 20, ExtentKind.Hole), await file.GetExtentAsync(2 << 20, 2 << 20, None));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_run_is_not_walked_through_again_for_each_of_its_pieces()
    {
        // In memory the kernel walks page by page: some eight seconds for these 64 MiB in pieces of 4 KiB, if it did each time.
        using var folder = new TempFolder(Directory.Exists("/dev/shm") ? "/dev/shm" : null);
        await using var file = LocalFile.Create(folder.File("a"));
        for (var at = 0; at < 64 << 20; at += 1 << 20)
            await file.WriteAsync(at, new byte[1 << 20], None);
        var watch = Stopwatch.StartNew();
        for (var at = 0; at < 64 << 20; at += 4096)
            Assert.Equal(new Extent(at, 4096, ExtentKind.Data), await file.GetExtentAsync(at, 4096, None));
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(3), $"took {watch.Elapsed}");
    }

    [Fact]
    public async Task Reserved_zeroes_take_up_space()
    {
        await using var file = LocalFile.Create(_folder.File("a"));
        await file.SetLengthAsync(4 << 20, None);
        await file.AllocateZeroesAsync(0, 4 << 20, None);
        Assert.True(file.AllocatedBytes >= 4 << 20, $"{file.AllocatedBytes} bytes allocated");
    }

    [Fact]
    public async Task Reads_and_overwrites_allocate_nothing()
    {
        await using var file = LocalFile.Create(_folder.File("a"));
        var buffer = new byte[4096];
        await file.WriteAsync(0, buffer, None);
        Assert.Equal(0, Allocations.InSteadyState(() => ReadAndWrite(file, buffer, 2_000)));
    }

    private static void ReadAndWrite(LocalFile file, byte[] buffer, int count)
    {
        for (var i = 0; i < count; i++)
        {
            Assert.True(file.WriteAsync(0, buffer, None).IsCompletedSuccessfully);
            Assert.True(file.ReadAsync(0, buffer, None).IsCompletedSuccessfully);
        }
    }

    private static void Refused(StorageErrorKind kind, Func<object> action) =>
        Assert.Equal(kind, Assert.Throws<StorageException>(action).Kind);
}
