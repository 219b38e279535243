using System.Buffers.Binary;
using System.Text;
using Godwit.Nbd.Protocol;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>The server with extended headers: 64-bit lengths, chunks for everything, and the protocol's errors.</summary>
public sealed class ExtendedHeadersTests : IAsyncDisposable
{
    private const uint Small = 4 << 20;
    private const ulong Vast = (ulong)VastDisk.Size;
    private readonly VastDisk _vast = new();
    private readonly JournalDisk _disk = new(Small);
    private readonly ServerUnderTest _server;

    public ExtendedHeadersTests() => _server = new ServerUnderTest(null, new NbdExport("disk", _disk), new NbdExport("vast", _vast));

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    [Fact(Timeout = 20_000)]
    public async Task The_option_takes_no_data_is_asked_for_once_and_goes_before_structured_replies()
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Greet();
        Assert.Equal(0x80000003u, client.Ask(11, "x"u8)[^1].Type);
        Assert.Equal(1u, client.Ask(8, [])[^1].Type);
        Assert.Equal(1u, client.Ask(11, [])[^1].Type);
        Assert.Equal(0x80000003u, client.Ask(11, [])[^1].Type);
        Assert.Equal(0x8000000Au, client.Ask(8, [])[^1].Type);
        Assert.Equal([4u, 1u], client.Ask(10, RawClient.ContextText("disk", "base:allocation")).Select(r => r.Type));
    }

    [Theory(Timeout = 20_000)]
    [InlineData(8u, true, false)]
    [InlineData(11u, false, false)]
    [InlineData(11u, true, true)]
    public async Task A_filtered_block_status_is_offered_where_it_can_be_used(uint form, bool contexts, bool offered)
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Greet();
        client.Ask(form, []);
        if (contexts)
            client.Ask(10, RawClient.ContextText("disk", "base:allocation"));
        var flags = client.Ask(7, RawClient.GoText("disk"))[0].Data.AsSpan(10);
        Assert.Equal(offered, ((NbdTransmissionFlags)BinaryPrimitives.ReadUInt16BigEndian(flags) & NbdTransmissionFlags.BlockStatusPayload) != 0);
    }

    [Fact(Timeout = 20_000)]
    public async Task What_is_written_is_read_back_in_every_size()
    {
        await Task.Yield();
        using var client = _server.Connect().Go("disk", NbdHeaderForm.Extended);
        foreach (var length in new[] { 512, 65_536, 262_656, 1 << 20, 2 << 20, 4 << 20 })
        {
            var bytes = new byte[length];
            new Random(length).NextBytes(bytes);
            Assert.Equal(NbdChunk.None, client.Ask(NbdCommand.Write, Small - (uint)length, (uint)length, payload: bytes).Chunks.Single().Type);
            var reply = client.Ask(NbdCommand.Read, Small - (uint)length, (uint)length);
            Assert.True(bytes.AsSpan().SequenceEqual(reply.Data), $"{length} bytes came back changed");
        }

        Assert.Single(client.Ask(NbdCommand.Read, 0, 2 << 20, NbdCommandFlags.DoNotFragment).Chunks);
        Assert.Equal(NbdChunk.None, client.Ask(NbdCommand.Read).Chunks.Single().Type);
        Assert.Equal(NbdError.None, client.Ask(NbdCommand.Flush).Error);
    }

    [Fact(Timeout = 20_000)]
    public async Task Data_follow_a_write_that_does_not_say_so()
    {
        await Task.Yield();
        using var client = _server.Connect().Go("disk", NbdHeaderForm.Extended);
        var header = new byte[NbdMagic.ExtendedRequestLength];
        new RequestHeader(NbdCommandFlags.None, NbdCommand.Write, 5, 0, 512, Extended: true).Write(header);
        client.Send([.. header, .. Enumerable.Repeat((byte)9, 512)]);
        Assert.Equal((5ul, NbdError.None), (client.ReceiveReply() is var reply ? reply.Cookie : 0, reply.Error));
        Assert.DoesNotContain(client.Ask(NbdCommand.Read, 0, 512).Data, value => value != 9);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(NbdCommand.Trim, "trim")]
    [InlineData(NbdCommand.WriteZeroes, "zeroes")]
    [InlineData(NbdCommand.Cache, "")]
    public async Task Ranges_beyond_32_bits_reach_the_device_whole(object command, string kind)
    {
        await Task.Yield();
        using var client = _server.Connect().Go("vast", NbdHeaderForm.Extended);
        Assert.Equal(NbdError.None, client.Ask((NbdCommand)command, 4096, Vast - 4096).Error);
        Assert.Equal(NbdError.None, client.Ask((NbdCommand)command, 0, (1UL << 32) + 512).Error);
        var asked = kind.Length == 0 ? [] : new[] { (kind, 4096L, VastDisk.Size - 4096), (kind, 0L, (1L << 32) + 512) };
        Assert.Equal(asked, _vast.TakeAsked());
    }

    [Theory(Timeout = 20_000)]
    [InlineData(NbdCommand.Read, 0ul, (32ul << 20) + 512, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.Read, 0ul, (32ul << 20) + 512, 4, NbdError.Overflow)]
    [InlineData(NbdCommand.Read, 0ul, (1ul << 32) + 512, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.Trim, 512ul, Vast, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.Trim, 0ul, Vast + 1, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.Trim, 0ul, 0xFFFF_FFFF_FFFF_FE00, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.WriteZeroes, 512ul, 0xFFFF_FFFF_FFFF_FE00, 0, NbdError.NoSpace)]
    [InlineData(NbdCommand.WriteZeroes, 0ul, 0x8000_0000_0000_0000, 0, NbdError.NoSpace)]
    [InlineData(NbdCommand.WriteZeroes, 0ul, (1ul << 32) + 1, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.Cache, 0ul, Vast + 512, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.BlockStatus, 512ul, Vast, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.BlockStatus, 0ul, 0ul, 0, NbdError.Invalid)]
    [InlineData(NbdCommand.BlockStatus, 0ul, 0ul, 32, NbdError.Invalid)]
    [InlineData(NbdCommand.Flush, 0ul, 1ul << 32, 0, NbdError.Invalid)]
    [InlineData((NbdCommand)9, 0ul, 1ul << 40, 0, NbdError.Invalid)]
    public async Task Requests_out_of_bounds_are_answered_with_the_protocols_error(
        object command, ulong offset, ulong length, int flags, object error)
    {
        await Task.Yield();
        using var client = _server.Connect().Go("vast", NbdHeaderForm.Extended);
        var reply = client.Ask((NbdCommand)command, offset, length, (NbdCommandFlags)flags);
        Assert.Equal((NbdError)error, reply.Error);
        Assert.NotEmpty(Encoding.UTF8.GetString(reply.Chunks.Single().Body.AsSpan(6)));
        Assert.Empty(_vast.TakeAsked());
        Assert.Equal(512, client.Ask(NbdCommand.Read, 0, 512).Data.Length);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(NbdCommand.Read, 512)]
    [InlineData(NbdCommand.Flush, 100)]
    [InlineData(NbdCommand.Trim, 7)]
    [InlineData(NbdCommand.WriteZeroes, 70_000)]
    [InlineData(NbdCommand.Write, (32 << 20) + 512)]
    [InlineData((NbdCommand)77, 4096)]
    public async Task A_payload_nobody_wants_is_read_and_refused(object command, int length)
    {
        await Task.Yield();
        using var client = _server.Connect().Go("disk", NbdHeaderForm.Extended);
        var reply = client.Ask((NbdCommand)command, 0, (ulong)length, NbdCommandFlags.PayloadLength, new byte[length]);
        Assert.Equal(NbdError.Invalid, reply.Error);
        Assert.Empty(_disk.TakeChanges());
        Assert.Equal(512, client.Ask(NbdCommand.Read, 0, 512).Data.Length);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(NbdCommand.Write, 1ul << 32)]
    [InlineData(NbdCommand.Write, ulong.MaxValue)]
    [InlineData(NbdCommand.Trim, 1ul << 40)]
    public async Task A_payload_far_too_long_ends_the_connection(object command, ulong length)
    {
        await Task.Yield();
        using var client = _server.Connect().Go("disk", NbdHeaderForm.Extended);
        client.Send(RawClient.Request((NbdCommand)command, 0, length, flags: NbdCommandFlags.PayloadLength, extended: true));
        Assert.Empty(client.ReceiveToEnd());
        Assert.Empty(_disk.TakeChanges());
        Assert.Contains(_server.Problems, problem => problem.Contains("payload", StringComparison.Ordinal));
    }

    [Theory(Timeout = 20_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_request_in_the_other_form_ends_the_connection(bool extended)
    {
        await Task.Yield();
        using var client = _server.Connect().Go("disk", extended ? NbdHeaderForm.Structured : NbdHeaderForm.Extended);
        client.Send([.. RawClient.Request(NbdCommand.Trim, 0, 512, extended: extended), 0, 0, 0, 0]);
        Assert.Empty(client.ReceiveToEnd());
        Assert.Empty(_disk.TakeChanges());
    }
}
