using System.Buffers.Binary;
using System.Text;
using Godwit.Nbd.Protocol;
using Godwit.Storage;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

public sealed class TransmissionTests : IAsyncDisposable
{
    private const uint Size = 4 << 20;
    private readonly JournalDisk _disk = new(Size);
    private readonly ServerUnderTest _server;

    public TransmissionTests() => _server = new ServerUnderTest(
        null, new NbdExport("disk", _disk), new NbdExport("reader", new ReferenceDisk(Size, DiskCapabilities.Default with { ReadOnly = true })));

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    public static TheoryData<bool> Forms => [true, false];

    [Theory(Timeout = 20_000)]
    [MemberData(nameof(Forms))]
    public async Task What_is_written_is_read_back_in_every_size(bool structured)
    {
        await Task.Yield();
        using var client = _server.Connect().Go(structured: structured);
        foreach (var length in new[] { 512, 4096, 65_536, 262_144, 262_656, 1 << 20, (1 << 20) + 512, 2 << 20, 4 << 20 })
        {
            var bytes = Bytes(length, length);
            Assert.Equal(NbdError.None, client.Ask(NbdCommand.Write, Size - (uint)length, (uint)length, payload: bytes).Error);
            var reply = client.Ask(NbdCommand.Read, Size - (uint)length, (uint)length);
            Assert.True(bytes.AsSpan().SequenceEqual(reply.Data), $"{length} bytes came back changed");
        }
    }

    [Fact(Timeout = 20_000)]
    public async Task A_large_read_comes_in_chunks_unless_it_must_not_be_fragmented()
    {
        await Task.Yield();
        using var client = _server.Connect().Go();
        Assert.True(client.Ask(NbdCommand.Read, 0, 1 << 20).Chunks.Count > 1);
        Assert.Single(client.Ask(NbdCommand.Read, 0, 2 << 20, NbdCommandFlags.DoNotFragment).Chunks);
        var empty = client.Ask(NbdCommand.Read);
        Assert.Equal((NbdChunk.None, 0), (empty.Chunks.Single().Type, empty.Chunks.Single().Body.Length));
    }

    [Fact(Timeout = 20_000)]
    public async Task Many_requests_in_one_packet_are_all_answered()
    {
        await Task.Yield();
        using var client = _server.Connect().Go();
        var packet = new List<byte>();
        for (var i = 0u; i < 200; i++)
            packet.AddRange(RawClient.Request(NbdCommand.Write, i * 4096, 4096, i, NbdCommandFlags.None, Bytes((int)i, 4096)));
        for (var i = 0u; i < 20; i++)
            packet.AddRange(RawClient.Request(NbdCommand.Read, i * 4096, 4096, 1000 + i));
        client.Send(packet.ToArray());
        for (var i = 0u; i < 200; i++)
            Assert.Equal((i, NbdError.None), (client.ReceiveReply() is var reply ? reply.Cookie : 0, reply.Error));
        for (var i = 0u; i < 20; i++)
            Assert.True(client.ReceiveReply(4096).Data.AsSpan().SequenceEqual(Bytes((int)i, 4096)));
    }

    [Fact(Timeout = 20_000)]
    public async Task Zeroing_trimming_flushing_caching_reach_the_device()
    {
        await Task.Yield();
        using var client = _server.Connect().Go();
        client.Ask(NbdCommand.Write, 0, 8192, NbdCommandFlags.ForceUnitAccess, Bytes(1, 8192));
        Assert.Equal(NbdError.None, client.Ask(NbdCommand.WriteZeroes, 0, 512, NbdCommandFlags.NoHole | NbdCommandFlags.ForceUnitAccess).Error);
        Assert.Equal(NbdError.None, client.Ask(NbdCommand.WriteZeroes, 512, 512, NbdCommandFlags.FastZero).Error);
        Assert.Equal(NbdError.NotSupported, client.Ask(NbdCommand.WriteZeroes, 512, 512, NbdCommandFlags.FastZero | NbdCommandFlags.NoHole).Error);
        Assert.Equal(NbdError.None, client.Ask(NbdCommand.Trim, 1024, 1024, NbdCommandFlags.ForceUnitAccess).Error);
        Assert.Equal(NbdError.None, client.Ask(NbdCommand.Flush).Error);
        Assert.Equal(NbdError.None, client.Ask(NbdCommand.Cache, 0, 8192).Error);
        Assert.False(client.Ask(NbdCommand.Read, 0, 2048).Data.AsSpan().ContainsAnyExcept((byte)0));
        Assert.Equal(["write", "zeroes", "zeroes", "trim"], _disk.TakeChanges().Select(change => change.Kind));
    }

    [Theory(Timeout = 20_000)]
    [InlineData(NbdCommandFlags.None, 3)]
    [InlineData(NbdCommandFlags.RequestOne, 1)]
    public async Task Block_status_covers_the_range_or_one_extent(object flags, int extents)
    {
        await Task.Yield();
        using var client = _server.Connect().Go();
        client.Ask(NbdCommand.Write, 1 << 20, 1 << 20, payload: Bytes(3, 1 << 20));
        var body = client.Ask(NbdCommand.BlockStatus, 0, Size, (NbdCommandFlags)flags).Chunks.Single();
        Assert.Equal(NbdChunk.BlockStatus, body.Type);
        Assert.Equal(4 + (8 * extents), body.Body.Length);
        Assert.Equal((1u << 20, 2u), Descriptor(body.Body, 0));
        if (extents == 1)
            return;
        Assert.Equal((1u << 20, 0u), Descriptor(body.Body, 1));
        Assert.Equal((2u << 20, 2u), Descriptor(body.Body, 2));
    }

    [Theory(Timeout = 20_000)]
    [InlineData(NbdCommand.Read, 1u, 512u, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.Read, 0u, 513u, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.Read, Size, 512u, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.Read, ulong.MaxValue - 511, 512u, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.Read, 0u, (32u << 20) + 512, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.Read, 0u, (32u << 20) + 512, 4, NbdError.Overflow)]
    [InlineData(NbdCommand.Read, 0u, 512u, 0x8000, NbdError.Invalid)]
    [InlineData(NbdCommand.Write, 1u, 512u, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.Write, Size, 512u, 0, NbdError.NoSpace)]
    [InlineData(NbdCommand.Write, Size - 512, 1024u, 0, NbdError.NoSpace)]
    [InlineData(NbdCommand.Write, 0u, 33u << 20, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.Write, 0u, 512u, 2, NbdError.Invalid)]
    [InlineData(NbdCommand.Flush, 512u, 0u, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.Flush, 0u, 512u, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.Flush, 0u, 0u, 4, NbdError.Invalid)]
    [InlineData(NbdCommand.Trim, Size, 512u, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.Trim, 0u, 512u, 2, NbdError.Invalid)]
    [InlineData(NbdCommand.WriteZeroes, 0u, uint.MaxValue - 511, 0, NbdError.NoSpace)]
    [InlineData(NbdCommand.WriteZeroes, 7u, 512u, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.BlockStatus, 0u, 0u, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.BlockStatus, Size, 512u, 0, NbdError.Invalid)]
    [InlineData((NbdCommand)8, 0u, 0u, 0, NbdError.Invalid)]
    [InlineData((NbdCommand)0xFFFF, 0u, 4096u, 0, NbdError.Invalid)]
    public async Task Requests_out_of_bounds_are_answered_with_the_protocols_error(
        object command, ulong offset, uint length, int flags, object error)
    {
        await Task.Yield();
        foreach (var structured in new[] { true, false })
        {
            using var client = _server.Connect().Go(structured: structured);
            var payload = (NbdCommand)command == NbdCommand.Write ? new byte[length] : null;
            var expected = !structured && (flags & 4) != 0 ? NbdError.Invalid : (NbdError)error;
            var answered = client.Ask((NbdCommand)command, offset, length, (NbdCommandFlags)flags, payload).Error;
            Assert.True(answered is NbdError.Invalid or NbdError.Overflow || answered == expected);
            if (structured)
                Assert.Equal(expected, answered);
            Assert.Equal(512, client.Ask(NbdCommand.Read, 0, 512).Data.Length);
        }

        Assert.Empty(_disk.TakeChanges());
    }

    [Fact(Timeout = 20_000)]
    public async Task A_write_far_too_long_ends_the_connection()
    {
        await Task.Yield();
        using var client = _server.Connect().Go();
        client.Send(RawClient.Request(NbdCommand.Write, 0, uint.MaxValue));
        Assert.Empty(client.ReceiveToEnd());
        Assert.Empty(_disk.TakeChanges());
    }

    [Theory(Timeout = 20_000)]
    [InlineData(NbdCommand.Write)]
    [InlineData(NbdCommand.Trim)]
    [InlineData(NbdCommand.WriteZeroes)]
    public async Task A_read_only_export_refuses_changes_and_says_so(object command)
    {
        await Task.Yield();
        using var client = _server.Connect().Go("reader");
        var payload = (NbdCommand)command == NbdCommand.Write ? new byte[512] : null;
        var reply = client.Ask((NbdCommand)command, 0, 512, payload: payload);
        Assert.Equal(NbdError.NotPermitted, reply.Error);
        Assert.Equal("the export is read-only", Encoding.UTF8.GetString(reply.Chunks.Single().Body.AsSpan(6)));
        Assert.Equal(NbdError.None, client.Ask(NbdCommand.Flush).Error);
        Assert.Equal(512, client.Ask(NbdCommand.Read, 0, 512).Data.Length);
    }

    [Fact(Timeout = 20_000)]
    public async Task Disconnect_ends_the_connection_after_what_was_asked_before()
    {
        await Task.Yield();
        using var client = _server.Connect().Go(structured: false);
        client.Send([.. RawClient.Request(NbdCommand.Flush, 0, 0, 5), .. RawClient.Request(NbdCommand.Disconnect, 0, 0, 6)]);
        Assert.Equal(5ul, client.ReceiveReply().Cookie);
        Assert.Empty(client.ReceiveToEnd());
        Assert.Empty(_server.Problems);
    }

    [Fact(Timeout = 20_000)]
    public async Task Block_status_needs_the_context()
    {
        await Task.Yield();
        using var client = _server.Connect().Go(structured: false);
        Assert.Equal(NbdError.Invalid, client.Ask(NbdCommand.BlockStatus, 0, 512).Error);
    }

    private static (uint Length, uint Flags) Descriptor(byte[] body, int index) => (
        BinaryPrimitives.ReadUInt32BigEndian(body.AsSpan(4 + (8 * index))), BinaryPrimitives.ReadUInt32BigEndian(body.AsSpan(8 + (8 * index))));

    private static byte[] Bytes(int seed, int count)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        foreach (ref var b in bytes.AsSpan())
            b |= 1;
        return bytes;
    }
}
