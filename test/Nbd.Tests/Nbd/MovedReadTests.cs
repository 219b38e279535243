using System.Diagnostics;
using Godwit.Fuzz.Nbd;
using Godwit.Nbd.Protocol;
using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Mirror;
using Godwit.Testing;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>Large reads go from the file to the socket through a pipe, without a copy; nobody can tell by the bytes.</summary>
public sealed class MovedReadTests : IDisposable
{
    private const int Size = 24 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new(Directory.Exists("/dev/shm") ? "/dev/shm" : null);

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData(ImageFormat.Raw)]
    [InlineData(ImageFormat.VhdxDynamic)]
    [InlineData(ImageFormat.VhdxFixed)]
    [InlineData(ImageFormat.VhdDynamic)]
    [InlineData(ImageFormat.VhdFixed)]
    public async Task Reads_of_any_length_between_writes_give_what_was_written(ImageFormat format)
    {
        await using var disk = new CountedDisk(await OpenAsync(format));
        await using var server = new ServerUnderTest(disk);
        await using var client = await server.OpenAsync();
        var expected = new byte[Size];
        var random = new Random(5);
        for (var round = 0; round < 200; round++)
        {
            var (offset, length) = Range(random);
            if (round < 20 || random.Next(3) == 0)
            {
                random.NextBytes(expected.AsSpan(offset, length));
                await client.WriteAsync(offset, expected.AsMemory(offset, length), WriteFlags.None, None);
                continue;
            }

            var read = new byte[length];
            await client.ReadAsync(offset, read, None);
            Assert.True(expected.AsSpan(offset, length).SequenceEqual(read), $"{length} bytes at {offset} differ in round {round}");
        }

        Assert.SkipUnless(disk.Asked > 0 && await KernelTellsAsync(), "the kernel cannot tell what is in the page cache (before 6.5): nothing is moved");
        Assert.InRange(disk.Moved, 1, disk.Asked);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(0, null)]
    [InlineData(4096, null)]
    [InlineData((256 << 10) - 512, null)]
    [InlineData(4096, typeof(StorageException))]
    [InlineData(4096, typeof(InvalidOperationException))]
    public async Task What_a_device_has_moved_of_a_range_before_it_gave_up_reaches_nobody(int count, Type? failure)
    {
        await using var disk = new CountedDisk(await OpenAsync(ImageFormat.Raw)) { GivesUpAfter = count, Failure = failure };
        var content = new byte[Size];
        new Random(6).NextBytes(content);
        await disk.WriteAsync(0, content, WriteFlags.None, None);
        await using var server = new ServerUnderTest(disk);
        await using var client = await server.OpenAsync();
        var read = new byte[3 << 20];
        for (var offset = 0; offset < 12 << 20; offset += read.Length)
        {
            await client.ReadAsync(offset, read, None);
            Assert.True(content.AsSpan(offset, read.Length).SequenceEqual(read));
        }

        Assert.True(disk.Asked > 0);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_client_that_hangs_up_inside_a_moved_reply_harms_nobody_else()
    {
        await using var disk = new CountedDisk(await OpenAsync(ImageFormat.Raw));
        var content = new byte[Size];
        new Random(7).NextBytes(content);
        await disk.WriteAsync(0, content, WriteFlags.None, None);
        await using var server = new ServerUnderTest(disk);
        await using var other = await server.OpenAsync();
        var random = new Random(8);
        for (var round = 0; round < 60; round++)
        {
            using (var client = server.Connect().Go())
            {
                for (var read = 0; read < 8; read++)
                    client.Send(RawClient.Request(NbdCommand.Read, (ulong)read << 20, 1 << 20, (ulong)read));
                client.Receive(random.Next(1, 600_000));
            }

            var bytes = new byte[1 << 20];
            await other.ReadAsync(round % 20 << 20, bytes, None);
            Assert.True(content.AsSpan(round % 20 << 20, bytes.Length).SequenceEqual(bytes));
        }

        Assert.True(disk.Asked > 0);
    }

    [Fact(Timeout = 60_000)]
    public async Task The_pipe_has_the_room_a_device_was_promised_also_when_the_client_has_gone()
    {
        // Unlike a file, this one waits for room in the pipe.
        var disk = new ChangeJournal(8 << 20, new byte[8 << 20]) { Temper = DeviceTemper.Willing };
        await using var server = new ServerUnderTest(disk);
        for (var round = 0; round < 20; round++)
        {
            using var client = server.Connect().Go();
            for (var read = 0; read < 8; read++)
                client.Send(RawClient.Request(NbdCommand.Read, (ulong)read << 20, 1 << 20, (ulong)read));
            client.Receive(round * 1000);
        }

        var begun = Stopwatch.StartNew();
        while (server.Server.Connections > 0)
        {
            Assert.True(begun.Elapsed < TimeSpan.FromSeconds(20), "a connection waits for room in its pipe that nobody makes");
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }

    [Fact(Timeout = 60_000)]
    public async Task A_client_that_takes_no_moved_reply_does_not_keep_the_server_from_stopping()
    {
        await using var disk = await OpenAsync(ImageFormat.Raw);
        await disk.WriteAsync(0, new byte[16 << 20], WriteFlags.None, None);
        await using var server = new ServerUnderTest(disk, new NbdServerOptions { StopTimeout = TimeSpan.FromMilliseconds(200) });
        using var client = server.Connect().Go();
        for (var read = 0; read < 16; read++)
            client.Send(RawClient.Request(NbdCommand.Read, (ulong)read << 20, 1 << 20, (ulong)read));
        await Task.Delay(100, TestContext.Current.CancellationToken);
        await server.StopAsync();
        Assert.Equal(0, server.Server.Connections);
    }

    [Fact(Timeout = 60_000)]
    public async Task While_a_disk_is_exchanged_nothing_is_moved()
    {
        await using var disk = new SwitchableDisk(await OpenAsync(ImageFormat.Raw));
        await disk.WriteAsync(0, new byte[1 << 20], WriteFlags.None, None);
        using var pipe = new Pipe();
        var before = disk.TryMoveToPipe(0, 65536, pipe.In);
        await disk.ReplaceAsync(
            (current, _) =>
            {
                Assert.Equal(0, disk.TryMoveToPipe(0, 65536, pipe.In));
                return new ValueTask<BlockDevice>(current);
            },
            None);
        if (before == 0)
            Assert.Skip("the kernel cannot tell what is in the page cache (before 6.5): nothing is moved");
    }

    private static (int Offset, int Length) Range(Random random)
    {
        var length = random.Next(4) switch { 0 => 1 + random.Next(64), 1 => 128, 2 => 2048, _ => 1 + random.Next(4096) } * 512;
        var offset = random.Next(3) == 0 ? random.Next((Size - length) / 65536 + 1) * 65536 : random.Next((Size - length) / 512 + 1) * 512;
        return (Math.Min(offset, Size - length), length);
    }

    private async Task<BlockDevice> OpenAsync(ImageFormat format)
    {
        var path = _folder.File($"{format}");
        await DiskImage.CreateAsync(path, format, Size, null, None);
        return await DiskImage.OpenAsync(path, format, readOnly: false, None);
    }

    private async Task<bool> KernelTellsAsync()
    {
        await using var file = LocalFile.Create(_folder.File("probe"));
        await file.WriteAsync(0, new byte[4096], None);
        using var pipe = new Pipe();
        return ((IStorageFile)file).TryMoveToPipe(0, 4096, pipe.In) == 4096;
    }

    private sealed class CountedDisk(BlockDevice inner) : DelegatingBlockDevice(inner)
    {
        public int Asked { get; private set; }

        public int Moved { get; private set; }

        public int? GivesUpAfter { get; init; }

        /// <summary>What every third attempt ends in.</summary>
        public Type? Failure { get; init; }

        protected override int TryMoveToPipeCore(long offset, int length, int pipe)
        {
            Asked++;
            if (GivesUpAfter is int most && (Failure is null || Asked % 3 == 0))
            {
                var gone = most == 0 ? 0 : Math.Min(most, Inner.TryMoveToPipe(offset, most, pipe));
                return Failure is null ? gone
                    : throw (Failure == typeof(StorageException) ? new StorageException(StorageErrorKind.IoFailed, "no more") : new InvalidOperationException("no more"));
            }

            var moved = Inner.TryMoveToPipe(offset, length, pipe);
            Moved += moved == length ? 1 : 0;
            return moved;
        }
    }

    private sealed class Pipe : IDisposable
    {
        private readonly System.IO.Pipes.AnonymousPipeServerStream _stream = new(System.IO.Pipes.PipeDirection.Out);

        public int In => (int)_stream.SafePipeHandle.DangerousGetHandle();

        public void Dispose() => _stream.Dispose();
    }
}
