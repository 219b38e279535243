using System.Diagnostics;
using Godwit.Nbd.Protocol;
using Godwit.Storage;
using Godwit.Storage.Formats;
using Godwit.Storage.Mirror;
using Godwit.Testing;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>Large writes go from the socket to the file through a pipe, without passing through memory; nobody can tell by the bytes.</summary>
public sealed class MovedWriteTests : IDisposable
{
    private const int Size = 24 << 20;
    private const int Chunk = 256 << 10;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new(Directory.Exists("/dev/shm") ? "/dev/shm" : null);

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData(ImageFormat.Raw)]
    [InlineData(ImageFormat.VhdxDynamic)]
    [InlineData(ImageFormat.VhdxFixed)]
    [InlineData(ImageFormat.VhdDynamic)]
    [InlineData(ImageFormat.VhdFixed)]
    public async Task What_is_written_in_requests_of_any_length_is_what_a_new_reader_of_the_image_finds(ImageFormat format)
    {
        var expected = new byte[Size];
        await using (var disk = new MovingDisk(await OpenAsync(format)))
        {
            await using var server = new ServerUnderTest(disk);
            await using var client = await server.OpenAsync();
            var random = new Random(5);
            for (var round = 0; round < 400; round++)
            {
                var (offset, length) = Range(random);
                random.NextBytes(expected.AsSpan(offset, length));
                await client.WriteAsync(offset, expected.AsMemory(offset, length), WriteFlags.None, None);
            }

            Assert.InRange(disk.Moved, 1, disk.Asked);
            var read = new byte[Size];
            await client.ReadAsync(0, read, None);
            Assert.True(expected.AsSpan().SequenceEqual(read));
        }

        await using var again = await DiskImage.OpenAsync(_folder.File($"{format}"), format, readOnly: true, None);
        var found = new byte[Size];
        await again.ReadAsync(0, found, None);
        Assert.True(expected.AsSpan().SequenceEqual(found));
    }

    [Theory(Timeout = 60_000)]
    [InlineData(nameof(NbdHeaderForm.Simple))]
    [InlineData(nameof(NbdHeaderForm.Structured))]
    [InlineData(nameof(NbdHeaderForm.Extended))]
    public async Task Requests_that_are_sent_all_at_once_are_each_answered_once(string form)
    {
        await using var disk = new MovingDisk(await OpenAsync(ImageFormat.Raw));
        await using var server = new ServerUnderTest(disk);
        using var client = server.Connect().Go("disk", Enum.Parse<NbdHeaderForm>(form));
        var expected = new byte[Size];
        var random = new Random(6);
        List<(ulong Cookie, ulong Offset)> sent = [];
        var sending = new List<byte>();
        for (var i = 0; i < 60; i++)
        {
            // Large ones behind each other, small ones between them, each at places of its own.
            var length = i % 5 == 4 ? 4096 : Chunk + (i % 7 * 512);
            var offset = i * 400 << 10;
            random.NextBytes(expected.AsSpan(offset, length));
            sending.AddRange(RawClient.Request(
                NbdCommand.Write, (ulong)offset, (ulong)length, (ulong)i + 1, payload: expected[offset..(offset + length)], extended: form == nameof(NbdHeaderForm.Extended)));
            sent.Add(((ulong)i + 1, (ulong)offset));
        }

        var thread = Task.Run(() => client.Send(sending.ToArray()), TestContext.Current.CancellationToken);
        foreach (var (cookie, offset) in sent)
        {
            var reply = client.ReceiveReply(0, offset);
            Assert.Equal((cookie, NbdError.None), (reply.Cookie, reply.Error));
        }

        await thread;
        Assert.True(disk.Moved > 0);
        await ExpectAsync(disk, expected);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(700)]
    [InlineData(5000)]
    [InlineData(200_000)]
    public async Task A_payload_may_come_in_pieces_however_many(int piece)
    {
        await using var disk = new MovingDisk(await OpenAsync(ImageFormat.Raw));
        await using var server = new ServerUnderTest(disk);
        using var client = server.Connect().Go();
        var expected = new byte[Size];
        new Random(7).NextBytes(expected.AsSpan(0, 4 << 20));
        client.Ask(NbdCommand.Write, 0, 1 << 20, payload: expected[..(1 << 20)]);
        for (var at = 1 << 20; at < 4 << 20; at += 1 << 20)
        {
            client.Send(RawClient.Request(NbdCommand.Write, (ulong)at, 1 << 20, (ulong)at));
            for (var done = 0; done < 1 << 20; done += piece)
                client.Send(expected.AsSpan(at + done, Math.Min(piece, (1 << 20) - done)));
            Assert.Equal(NbdError.None, client.ReceiveReply().Error);
        }

        Assert.True(disk.Asked > 0 || piece == 700);
        await ExpectAsync(disk, expected);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(0, nameof(NbdHeaderForm.Structured))]
    [InlineData(1, nameof(NbdHeaderForm.Structured))]
    [InlineData(2, nameof(NbdHeaderForm.Extended))]
    [InlineData(3, nameof(NbdHeaderForm.Simple))]
    public async Task What_a_device_does_not_take_at_once_is_written_the_usual_way(int taken, string form)
    {
        await using var disk = new MovingDisk(await OpenAsync(ImageFormat.Raw)) { RefusesEvery = taken + 1 };
        await using var server = new ServerUnderTest(disk);
        using var client = server.Connect().Go("disk", Enum.Parse<NbdHeaderForm>(form));
        var expected = new byte[Size];
        new Random(8).NextBytes(expected);
        for (var at = 0; at < Size; at += 1 << 20)
            Assert.Equal(NbdError.None, client.Ask(NbdCommand.Write, (ulong)at, 1 << 20, payload: expected[at..(at + (1 << 20))]).Error);
        Assert.True(disk.Asked > 0);
        await ExpectAsync(disk, expected);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(0, nameof(NbdHeaderForm.Structured))]
    [InlineData(2, nameof(NbdHeaderForm.Extended))]
    [InlineData(3, nameof(NbdHeaderForm.Simple))]
    public async Task A_device_that_fails_inside_a_request_fails_that_request_alone(int after, string form)
    {
        await using var disk = new MovingDisk(await OpenAsync(ImageFormat.Raw));
        await using var server = new ServerUnderTest(disk);
        using var client = server.Connect().Go("disk", Enum.Parse<NbdHeaderForm>(form));
        var content = new byte[1 << 20];
        new Random(9).NextBytes(content);
        Assert.Equal(NbdError.None, client.Ask(NbdCommand.Write, 0, 1 << 20, payload: content).Error);
        disk.FailsAfter = after;
        Assert.Equal(NbdError.NoSpace, client.Ask(NbdCommand.Write, 4 << 20, 1 << 20, payload: content).Error);
        disk.FailsAfter = null;
        for (var at = 8 << 20; at < 11 << 20; at += 1 << 20)
            Assert.Equal(NbdError.None, client.Ask(NbdCommand.Write, (ulong)at, 1 << 20, payload: content).Error);
        Assert.Equal(content, client.Ask(NbdCommand.Read, 10 << 20, 1 << 20).Data);
        Assert.True(disk.Asked > after);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_client_that_hangs_up_inside_a_payload_harms_nobody_else()
    {
        await using var disk = new MovingDisk(await OpenAsync(ImageFormat.Raw));
        await using var server = new ServerUnderTest(disk);
        await using var other = await server.OpenAsync();
        var random = new Random(10);
        var content = new byte[1 << 20];
        random.NextBytes(content);
        for (var round = 0; round < 60; round++)
        {
            using (var client = server.Connect().Go())
            {
                client.Ask(NbdCommand.Write, 0, 1 << 20, payload: content);
                client.Send(RawClient.Request(NbdCommand.Write, 1 << 20, 1 << 20, payload: content).AsSpan(0, random.Next(28, 1 << 20)));
            }

            await other.WriteAsync(4 << 20, content, WriteFlags.None, None);
            var read = new byte[1 << 20];
            await other.ReadAsync(4 << 20, read, None);
            Assert.True(content.AsSpan().SequenceEqual(read));
        }

        Assert.True(disk.Moved > 0);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_client_that_sends_half_a_payload_does_not_keep_the_server_from_stopping()
    {
        await using var disk = await OpenAsync(ImageFormat.Raw);
        await using var server = new ServerUnderTest(disk, new NbdServerOptions { StopTimeout = TimeSpan.FromMilliseconds(200) });
        using var client = server.Connect().Go();
        client.Ask(NbdCommand.Write, 0, 1 << 20, payload: new byte[1 << 20]);
        client.Send(RawClient.Request(NbdCommand.Write, 0, 1 << 20, payload: new byte[300_000]));
        await Task.Delay(100, TestContext.Current.CancellationToken);
        await server.StopAsync();
        Assert.Equal(0, server.Server.Connections);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_refused_payload_behind_a_moved_one_is_thrown_away_as_quickly_as_any()
    {
        await using var disk = new MovingDisk(await OpenAsync(ImageFormat.Raw));
        await using var server = new ServerUnderTest(disk);
        var payload = new byte[32 << 20];
        var usual = Refuse(behind: []);
        var behindMoved = Refuse(behind: payload[..(1 << 20)]);
        Assert.True(disk.Asked > 0);
        Assert.True(behindMoved < (10 * usual) + TimeSpan.FromSeconds(1), $"{behindMoved} instead of {usual}");

        TimeSpan Refuse(byte[] behind)
        {
            using var client = server.Connect().Go();
            for (var round = 0; round < 2 && behind.Length > 0; round++)
                client.Ask(NbdCommand.Write, 0, (ulong)behind.Length, payload: behind);
            var watch = Stopwatch.StartNew();
            for (var round = 0; round < 8; round++)
                Assert.Equal(NbdError.NoSpace, client.Ask(NbdCommand.Write, Size, (ulong)payload.Length, payload: payload).Error);
            return watch.Elapsed;
        }
    }

    [Fact(Timeout = 60_000)]
    public async Task A_write_that_is_to_be_stable_when_answered_is_not_moved()
    {
        await using var disk = new MovingDisk(await OpenAsync(ImageFormat.Raw));
        await using var server = new ServerUnderTest(disk);
        using var client = server.Connect().Go();
        for (var round = 0; round < 4; round++)
            client.Ask(NbdCommand.Write, 0, 1 << 20, NbdCommandFlags.ForceUnitAccess, new byte[1 << 20]);
        Assert.Equal(0, disk.Asked);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_write_that_comes_while_the_disk_is_exchanged_reaches_the_next_one()
    {
        var next = await OpenAsync(ImageFormat.VhdFixed);
        var first = await OpenAsync(ImageFormat.Raw);
        await using var disk = new SwitchableDisk(first);
        await using var server = new ServerUnderTest(disk);
        await using var client = await server.OpenAsync();
        var content = new byte[1 << 20];
        new Random(11).NextBytes(content);
        await client.WriteAsync(0, new byte[1 << 20], WriteFlags.None, None);
        Task? write = null;
        await disk.ReplaceAsync(
            async (_, token) =>
            {
                write = client.WriteAsync(0, content, WriteFlags.None, None).AsTask();
                await Task.Delay(100, token);
                Assert.False(write.IsCompleted);
                return next;
            },
            None);
        await write!;
        await first.DisposeAsync();
        var read = new byte[1 << 20];
        await next.ReadAsync(0, read, None);
        Assert.True(content.AsSpan().SequenceEqual(read));
    }

    private static (int Offset, int Length) Range(Random random)
    {
        var length = random.Next(4) switch { 0 => 1 + random.Next(64), 1 => 128, 2 => 2048, _ => 1 + random.Next(4096) } * 512;
        var offset = random.Next(3) == 0 ? random.Next((Size - length) / 65536 + 1) * 65536 : random.Next((Size - length) / 512 + 1) * 512;
        return (Math.Min(offset, Size - length), length);
    }

    private static async Task ExpectAsync(BlockDevice disk, byte[] expected)
    {
        var read = new byte[expected.Length];
        await disk.ReadAsync(0, read, None);
        Assert.True(expected.AsSpan().SequenceEqual(read));
    }

    private async Task<BlockDevice> OpenAsync(ImageFormat format)
    {
        var path = _folder.File($"{format}");
        await DiskImage.CreateAsync(path, format, Size, null, None);
        return await DiskImage.OpenAsync(path, format, readOnly: false, None);
    }

    /// <summary>Counts what is moved, and refuses or fails some of it.</summary>
    private sealed class MovingDisk(BlockDevice inner) : DelegatingBlockDevice(inner)
    {
        private int _sinceFailing;

        public int Asked { get; private set; }

        public int Moved { get; private set; }

        public int? RefusesEvery { get; init; }

        /// <summary>Chunks taken before one fails with half of it written.</summary>
        public int? FailsAfter
        {
            get => field;
            set => (field, _sinceFailing) = (value, 0);
        }

        protected override bool TryMoveFromPipeCore(long offset, int length, int pipe)
        {
            Asked++;
            if (Asked % RefusesEvery == 0)
                return false;
            if (FailsAfter is { } after && _sinceFailing++ >= after)
            {
                Inner.TryMoveFromPipe(offset, length / 2, pipe);
                throw new StorageException(StorageErrorKind.NoSpace, "no space left on device", operation: "write");
            }

            var moved = Inner.TryMoveFromPipe(offset, length, pipe);
            Moved += moved ? 1 : 0;
            return moved;
        }
    }
}
