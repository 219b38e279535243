using System.Diagnostics;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Interop;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Storage.Tests.Files;

/// <summary>Locks that QEMU's tools respect, and theirs.</summary>
[Trait("Tier", "process")]
public sealed class ImageLockTests : IAsyncLifetime
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();
    private readonly string _path;

    public ImageLockTests() => _path = _folder.File("disk.vhdx");

    // Not raw: readers of raw images bear writers in QEMU.
    public ValueTask InitializeAsync() => DiskImage.CreateAsync(_path, ImageFormat.VhdxDynamic, 64 << 20, null, None);

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public async Task What_we_write_to_QEMU_s_tools_neither_write_nor_read_unless_told_that_it_changes()
    {
        await using (LocalFile.Open(_path, readOnly: false))
        {
            Assert.Contains("Failed to get \"write\" lock", (await QemuIoAsync("write 0 4k")).Error, StringComparison.Ordinal);
            Assert.Contains("Failed to get shared \"write\" lock", (await RunAsync("qemu-img", "info", _path)).Error, StringComparison.Ordinal);
            (await RunAsync("qemu-img", "info", "-U", _path)).Succeeded();
            (await RunAsync("qemu-io", "-r", "-U", "-f", "vhdx", "-c", "read 0 4k", _path)).Succeeded();
        }

        (await QemuIoAsync("write 0 4k")).Succeeded();
    }

    [Fact(Timeout = 60_000)]
    public async Task What_we_read_QEMU_s_tools_read_too_but_do_not_write()
    {
        await using (LocalFile.Open(_path, readOnly: true))
        {
            (await RunAsync("qemu-img", "info", _path)).Succeeded();
            Assert.Contains("lock", (await QemuIoAsync("write 0 4k")).Error, StringComparison.Ordinal);
        }

        (await QemuIoAsync("write 0 4k")).Succeeded();
    }

    [Fact(Timeout = 60_000)]
    public async Task What_QEMU_writes_to_we_refuse_and_say_who_has_it()
    {
        using (var holder = Hold())
        {
            await holder.UntilReadyAsync();
            foreach (var readOnly in new[] { false, true })
            {
                var error = Assert.Throws<StorageException>(() => LocalFile.Open(_path, readOnly));
                Assert.Equal(StorageErrorKind.InUse, error.Kind);
                Assert.Contains("in QEMU or one of its tools", error.Message, StringComparison.Ordinal);
            }
        }

        await UntilFreeAsync();
    }

    [Fact(Timeout = 60_000)]
    public async Task What_QEMU_reads_we_read_too_but_do_not_write()
    {
        using (var holder = Hold("-r"))
        {
            await holder.UntilReadyAsync();
            await LocalFile.Open(_path, readOnly: true).DisposeAsync();
            Assert.Throws<StorageException>(() => LocalFile.Open(_path, readOnly: false));
        }

        await UntilFreeAsync();
    }

    [Fact(Timeout = 60_000)]
    public async Task A_reader_that_bears_writers_is_borne()
    {
        using (var holder = Hold("-r", "-U"))
        {
            await holder.UntilReadyAsync();
            await LocalFile.Open(_path, readOnly: false).DisposeAsync();
        }
    }

    [Fact]
    public async Task A_Godwit_program_is_named_as_such_and_a_process_by_its_number()
    {
        await using (LocalFile.Open(_path, readOnly: true))
            Assert.Contains("for use elsewhere, in a Godwit program", Assert.Throws<StorageException>(() => LocalFile.Open(_path, readOnly: false)).Message, StringComparison.Ordinal);
        await using (LocalFile.Open(_path, readOnly: false))
            Assert.Contains("for writing elsewhere, in a Godwit program", Assert.Throws<StorageException>(() => LocalFile.Open(_path, readOnly: true)).Message, StringComparison.Ordinal);
        var error = Assert.Throws<StorageException>(() => ImageLock.Take(new FakeLocks { HeldByProcess = 4711 }.Call, _path, exclusive: true));
        Assert.Contains("in process 4711", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(37)]
    [InlineData(95)]
    [InlineData(38)]
    [InlineData(22)]
    public void A_file_system_without_locks_is_a_gap_and_no_error(int errno)
    {
        foreach (var exclusive in new[] { false, true })
            Assert.Contains("the file system has no locks", ImageLock.Take(new FakeLocks { Error = errno }.Call, _path, exclusive), StringComparison.Ordinal);
    }

    [Fact]
    public void Another_error_of_the_lock_is_an_error()
    {
        var error = Assert.Throws<StorageException>(() => ImageLock.Take(new FakeLocks { Error = 5 }.Call, _path, exclusive: true));
        Assert.Equal(StorageErrorKind.IoFailed, error.Kind);
    }

    [Fact(Timeout = 60_000)]
    public async Task Of_many_that_open_at_the_same_time_one_wins()
    {
        for (var round = 0; round < 50; round++)
        {
            var opened = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
            {
                try
                {
                    return LocalFile.Open(_path, readOnly: false);
                }
                catch (StorageException e) when (e.Kind == StorageErrorKind.InUse)
                {
                    return null;
                }
            })));
            var winner = Assert.Single(opened, file => file is not null);
            await winner!.DisposeAsync();
        }
    }

    [Fact]
    public async Task The_file_stays_locked_under_another_name()
    {
        await using var file = LocalFile.Open(_path, readOnly: false);
        var renamed = _folder.File("renamed.img");
        File.Move(_path, renamed);
        Assert.Throws<StorageException>(() => LocalFile.Open(renamed, readOnly: true));
        Assert.Empty(file.Gaps);
    }

    /// <summary>qemu-io waiting for commands, with the image open.</summary>
    private QemuHolder Hold(params string[] options) => new([.. options, "-f", "vhdx", _path]);

    private async Task UntilFreeAsync()
    {
        while (true)
        {
            try
            {
                await LocalFile.Open(_path, readOnly: false).DisposeAsync();
                return;
            }
            catch (StorageException e) when (e.Kind == StorageErrorKind.InUse)
            {
                await Task.Delay(10, None);
            }
        }
    }

    private Task<CommandResult> QemuIoAsync(string command) => RunAsync("qemu-io", "-f", "vhdx", "-c", command, _path);

    private static Task<CommandResult> RunAsync(string program, params string[] arguments) => ChildProgram.RunAsync(program, arguments, null, None);

    private sealed class QemuHolder : IDisposable
    {
        private readonly Process _process;

        public QemuHolder(IEnumerable<string> arguments)
        {
            var start = new ProcessStartInfo("qemu-io") { RedirectStandardInput = true, RedirectStandardOutput = true };
            foreach (var argument in arguments)
                start.ArgumentList.Add(argument);
            _process = Process.Start(start)!;
        }

        /// <summary>It greets once it has opened the image.</summary>
        public async Task UntilReadyAsync() => await _process.StandardOutput.ReadAsync(new char[1]);

        public void Dispose()
        {
            _process.Kill();
            _process.WaitForExit();
            _process.Dispose();
        }
    }

    /// <summary>Locks of a file system that does not exist here.</summary>
    private sealed class FakeLocks
    {
        public int Error { get; init; }

        public int HeldByProcess { get; init; }

        public int Call(int command, ref RecordLock record)
        {
            if (command == LibC.GetOpeningLock)
                (record.Type, record.Process) = HeldByProcess > 0 ? (RecordLock.Write, HeldByProcess) : (RecordLock.Unlock, 0);
            return Error;
        }
    }
}
