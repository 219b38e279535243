using Godwit.Nbd.Interop;
using Godwit.Nbd.Protocol;
using Godwit.Nbd.Server;
using Godwit.Storage;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>What the device cannot complete at once: nothing waits for it that need not, and nothing is lost.</summary>
public sealed class PendingRequestsTests : IAsyncDisposable
{
    private const uint Size = 4 << 20;
    private readonly GatedDisk _disk = new(Size);
    private readonly ServerUnderTest _server;

    public PendingRequestsTests() => _server = new ServerUnderTest(_disk);

    public async ValueTask DisposeAsync()
    {
        _disk.Open();
        await _server.DisposeAsync();
    }

    [Theory(Timeout = 20_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Reads_overtake_a_flush_that_takes_long(bool structured)
    {
        using var client = _server.Connect().Go(structured: structured);
        var gate = _disk.HoldFlushes();
        client.Send(RawClient.Request(NbdCommand.Flush, 0, 0, 1));
        for (var cookie = 2ul; cookie < 20; cookie++)
        {
            client.Send(RawClient.Request(NbdCommand.Read, 0, 4096, cookie));
            Assert.Equal(cookie, client.ReceiveReply(4096).Cookie);
        }

        gate.SetResult();
        Assert.Equal((1ul, NbdError.None), await AnswerAsync(client, 0));
    }

    [Theory(Timeout = 20_000)]
    [InlineData(NbdCommand.Read, NbdHeaderForm.Structured)]
    [InlineData(NbdCommand.Read, NbdHeaderForm.Extended)]
    [InlineData(NbdCommand.Write, NbdHeaderForm.Structured)]
    [InlineData(NbdCommand.Write, NbdHeaderForm.Extended)]
    [InlineData(NbdCommand.BlockStatus, NbdHeaderForm.Structured)]
    [InlineData(NbdCommand.BlockStatus, NbdHeaderForm.Extended)]
    public async Task A_late_answer_looks_like_a_quick_one(object command, object form)
    {
        using var client = _server.Connect().Go("disk", (NbdHeaderForm)form, "base:allocation", "godwit:layer");
        var payload = (NbdCommand)command == NbdCommand.Write ? new byte[300 << 10] : null;
        var quick = client.Ask((NbdCommand)command, 8192, 300 << 10, payload: payload);
        var gates = new[] { _disk.HoldReads(), _disk.HoldWrites(), _disk.HoldExtents() };
        var asking = Task.Run(() => client.Ask((NbdCommand)command, 8192, 300 << 10, payload: payload));
        await WaitForAsync(1);
        foreach (var gate in gates)
            gate.SetResult();
        var late = await asking;
        Assert.Equal(NbdError.None, late.Error);
        Assert.Equal(quick.Chunks.Select(chunk => (chunk.Type, chunk.Body.Length)).Order(), late.Chunks.Select(chunk => (chunk.Type, chunk.Body.Length)).Order());
        if ((NbdCommand)command == NbdCommand.BlockStatus)
            Assert.Equal(quick.Chunks.SelectMany(chunk => chunk.Body), late.Chunks.SelectMany(chunk => chunk.Body));
    }

    [Fact(Timeout = 20_000)]
    public async Task Many_small_reads_that_wait_come_back_right()
    {
        await Task.Yield();
        const int Reads = 32;
        var content = new byte[Reads * 4096];
        new Random(4).NextBytes(content);
        await _disk.WriteAsync(0, content, WriteFlags.None, CancellationToken.None);
        using var client = _server.Connect().Go();
        for (var round = 0; round < 12; round++)
        {
            var gate = _disk.HoldReads();
            for (var read = 0; read < Reads; read++)
                client.Send(RawClient.Request(NbdCommand.Read, (ulong)read * 4096, 4096, (ulong)read));
            await WaitForAsync(Reads);
            gate.SetResult();
            for (var answers = 0; answers < Reads; answers++)
            {
                var reply = client.ReceiveReply();
                Assert.Equal(content.AsSpan((int)reply.Cookie * 4096, 4096).ToArray(), reply.Data);
            }
        }
    }

    [Fact]
    public void Small_replies_that_wait_share_a_buffer_and_give_it_back()
    {
        var (mine, peer) = SocketPair.Create();
        using (peer)
        using (var wire = new Wire(mine))
        {
            var output = new OutputBuffer(wire, new BufferPool());
            var buffer = output.Buffer;
            for (var reply = 0; reply < 200; reply++)
            {
                output.MakeRoom(4096);
                Assert.Equal(reply * 4096, output.Used);
                Assert.Same(buffer, output.Lend(4096));
                buffer.Users++;
            }

            output.Append(16).Clear();
            output.Flush();
            Assert.Equal((200 * 4096) + 16, output.Used);
            buffer.Users = 0;
            output.Flush();
            Assert.Equal((0, 16), (output.Used, peer.Available));
        }
    }

    [Fact(Timeout = 20_000)]
    public async Task A_held_write_keeps_its_bytes_while_others_come_and_go()
    {
        await Task.Yield();
        using var client = _server.Connect().Go();
        var gate = _disk.HoldWrites();
        var held = new byte[64 << 10];
        Array.Fill(held, (byte)0xAA);
        client.Send(RawClient.Request(NbdCommand.Write, 0, (uint)held.Length, 1, payload: held));
        await WaitForAsync(1);
        _disk.Open();
        var other = new byte[300 << 10];
        Array.Fill(other, (byte)0xBB);
        for (var cookie = 2ul; cookie < 20; cookie++)
        {
            client.Send(RawClient.Request(NbdCommand.Write, 1 << 20, (uint)other.Length, cookie, payload: other));
            Assert.Equal(cookie, client.ReceiveReply().Cookie);
        }

        gate.SetResult();
        Assert.Equal((1ul, NbdError.None), await AnswerAsync(client, 0));
        Assert.False(client.Ask(NbdCommand.Read, 0, (uint)held.Length).Data.AsSpan().ContainsAnyExcept((byte)0xAA));
    }

    [Theory(Timeout = 20_000)]
    [InlineData(true, 0)]
    [InlineData(true, 1 << 20)]
    [InlineData(false, 0)]
    public async Task A_large_read_may_be_held_in_any_part(bool structured, long from)
    {
        using var client = _server.Connect().Go(structured: structured);
        var bytes = new byte[2 << 20];
        new Random(5).NextBytes(bytes);
        client.Ask(NbdCommand.Write, 0, (uint)bytes.Length, payload: bytes);
        _disk.ReadsFrom = from;
        var gate = _disk.HoldReads();
        client.Send(RawClient.Request(NbdCommand.Read, 0, (uint)bytes.Length, 9));
        var receiving = Task.Run(() => client.ReceiveReply((uint)bytes.Length));
        await WaitForAsync(1);
        gate.SetResult();
        var reply = await receiving;
        Assert.Equal(bytes.Length, reply.Data.Length);
        if (structured)
            AssertChunks(reply, bytes);
        else
            Assert.True(bytes.AsSpan().SequenceEqual(reply.Data));
    }

    [Fact(Timeout = 20_000)]
    public async Task Failures_of_held_requests_are_answered_with_their_number()
    {
        using var client = _server.Connect().Go();
        var gate = _disk.HoldReads();
        client.Send(RawClient.Request(NbdCommand.Read, 0, 1 << 20, 4));
        await WaitForAsync(1);
        gate.SetException(new StorageException(StorageErrorKind.NoSpace, "no room"));
        var reply = client.ReceiveReply(1 << 20);
        Assert.Equal((4ul, NbdError.NoSpace), (reply.Cookie, reply.Error));
        _disk.Open();
        Assert.Equal(NbdError.None, client.Ask(NbdCommand.Flush).Error);
    }

    [Fact(Timeout = 20_000)]
    public async Task More_requests_than_may_wait_are_all_answered_in_the_end()
    {
        using var client = _server.Connect().Go();
        var gate = _disk.HoldFlushes();
        client.Send(Enumerable.Range(0, 500).SelectMany(i => RawClient.Request(NbdCommand.Flush, 0, 0, (ulong)i)).ToArray());
        await WaitForAsync(64);
        Assert.Equal(64, _disk.Waiting);
        gate.SetResult();
        var cookies = new HashSet<ulong>();
        for (var i = 0; i < 500; i++)
            cookies.Add(client.ReceiveReply().Cookie);
        Assert.Equal(500, cookies.Count);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_hang_up_with_requests_held_harms_nobody()
    {
        var gate = _disk.HoldWrites();
        using (var client = _server.Connect().Go())
        {
            client.Send(RawClient.Request(NbdCommand.Write, 0, 512, 1, payload: new byte[512]));
            client.Send(RawClient.Request(NbdCommand.Write, 512, 512, 2, payload: new byte[512]));
            await WaitForAsync(2);
        }

        using var other = _server.Connect().Go();
        Assert.Equal(512, other.Ask(NbdCommand.Read, 0, 512).Data.Length);
        gate.SetResult();
        while (_server.Server.Connections > 1)
            await Task.Delay(5);
        Assert.Equal(512, other.Ask(NbdCommand.Read, 0, 512).Data.Length);
    }

    [Fact(Timeout = 20_000)]
    public async Task Stopping_finishes_what_is_on_its_way_and_answers_it()
    {
        using var client = _server.Connect().Go();
        var gate = _disk.HoldFlushes();
        client.Send(RawClient.Request(NbdCommand.Flush, 0, 0, 1));
        await WaitForAsync(1);
        var stopping = _server.StopAsync();
        await Task.Delay(50);
        Assert.False(stopping.IsCompleted);
        gate.SetResult();
        Assert.Equal((1ul, NbdError.None), await AnswerAsync(client, 0));
        Assert.Empty(client.ReceiveToEnd());
        await stopping;
        Assert.Equal(0, _server.Server.Connections);
    }

    [Fact(Timeout = 20_000)]
    public async Task Stopping_gives_up_on_what_never_ends()
    {
        await using var server = new ServerUnderTest(_disk, new NbdServerOptions { StopTimeout = TimeSpan.FromMilliseconds(100) });
        using var stuck = server.Connect().Go();
        using var silent = server.Connect();
        using var deaf = server.Connect().Go();
        _disk.HoldFlushes();
        stuck.Send(RawClient.Request(NbdCommand.Flush, 0, 0, 1));
        for (var i = 0; i < 8; i++)
            deaf.Send(RawClient.Request(NbdCommand.Read, 0, 4 << 20));
        await WaitForAsync(1);
        await server.StopAsync();
        Assert.Equal(0, server.Server.Connections);
    }

    private static void AssertChunks(Reply reply, byte[] bytes)
    {
        var seen = new bool[bytes.Length / 512];
        foreach (var (_, body) in reply.Chunks)
        {
            var offset = (int)System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(body);
            Assert.True(bytes.AsSpan(offset, body.Length - 8).SequenceEqual(body.AsSpan(8)));
            seen.AsSpan(offset / 512, (body.Length - 8) / 512).Fill(true);
        }

        Assert.DoesNotContain(false, seen);
    }

    private static Task<(ulong Cookie, NbdError Error)> AnswerAsync(RawClient client, uint data) => Task.Run(() =>
    {
        var reply = client.ReceiveReply(data);
        return (reply.Cookie, reply.Error);
    });

    private async Task WaitForAsync(int waiting)
    {
        while (_disk.Waiting < waiting)
            await Task.Delay(5);
    }
}
