using System.Buffers.Binary;
using System.Text;
using Godwit.Nbd.Protocol;
using Godwit.Testing.Disks;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

public sealed class HandshakeTests : IAsyncDisposable
{
    private const int Size = 1 << 20;
    private readonly ReferenceDisk _disk = new(Size);
    private readonly ServerUnderTest _server;

    public HandshakeTests() => _server = new ServerUnderTest(null, new NbdExport("disk", _disk), new NbdExport("other", new ReferenceDisk(512)));

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    [Fact(Timeout = 20_000)]
    public async Task List_names_every_export()
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Greet();
        var replies = client.Ask(3, []);
        Assert.Equal(["disk", "other"], replies.Where(r => r.Type == 2).Select(r => Encoding.UTF8.GetString(r.Data.AsSpan(4))));
        Assert.Equal(0x80000003u, client.Ask(3, "x"u8)[^1].Type);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(6)]
    [InlineData(7)]
    public async Task Info_and_go_tell_size_flags_and_block_sizes(uint option)
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Greet();
        client.Ask(8, []);
        var replies = client.Ask(option, RawClient.GoText("disk", 1, 3));
        var export = replies.Single(r => r.Type == 3 && r.Data[1] == 0).Data;
        Assert.Equal(Size, BinaryPrimitives.ReadInt64BigEndian(export.AsSpan(2)));
        var flags = (NbdTransmissionFlags)BinaryPrimitives.ReadUInt16BigEndian(export.AsSpan(10));
        Assert.Equal(
            NbdTransmissionFlags.HasFlags | NbdTransmissionFlags.SendFlush | NbdTransmissionFlags.SendFua | NbdTransmissionFlags.SendTrim
            | NbdTransmissionFlags.SendWriteZeroes | NbdTransmissionFlags.SendDf | NbdTransmissionFlags.CanMultiConn
            | NbdTransmissionFlags.SendCache | NbdTransmissionFlags.SendFastZero,
            flags);
        Assert.Equal("disk", Encoding.UTF8.GetString(replies.Single(r => r.Type == 3 && r.Data[1] == 1).Data.AsSpan(2)));
        var block = replies.Single(r => r.Type == 3 && r.Data[1] == 3).Data;
        Assert.Equal([512, 4096, 32 << 20], Enumerable.Range(0, 3).Select(i => BinaryPrimitives.ReadInt32BigEndian(block.AsSpan(2 + (4 * i)))));
        Assert.Equal(1u, replies[^1].Type);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(5)] // STARTTLS
    [InlineData(4)]
    [InlineData(9999)]
    [InlineData(uint.MaxValue)]
    public async Task Options_not_offered_are_refused_and_the_handshake_goes_on(uint option)
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Greet();
        Assert.Equal(0x80000001u, client.Ask(option, "whatever"u8)[^1].Type);
        Assert.Equal(1u, client.Ask(7, RawClient.GoText("disk"))[^1].Type);
        Assert.Equal(NbdError.None, client.Ask(NbdCommand.Flush).Error);
    }

    [Fact(Timeout = 20_000)]
    public async Task An_unknown_export_is_refused_and_another_can_be_chosen()
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Greet();
        Assert.Equal(0x80000006u, client.Ask(7, RawClient.GoText("nope"))[^1].Type);
        Assert.Equal(0x80000006u, client.Ask(7, RawClient.GoText(""))[^1].Type);
        Assert.Equal(1u, client.Ask(7, RawClient.GoText("other"))[^1].Type);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(new byte[0])]
    [InlineData(new byte[] { 0, 0, 0, 4, 1, 2 })] // a name longer than the option
    [InlineData(new byte[] { 0, 0, 0, 0, 0, 1 })] // one information request, none there
    [InlineData(new byte[] { 0, 0, 0, 0, 0, 0, 9 })] // a byte too many
    [InlineData(new byte[] { 255, 255, 255, 255, 0, 0 })]
    public async Task Options_whose_lengths_do_not_add_up_are_invalid(byte[] data)
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Greet();
        client.Ask(8, []);
        foreach (var option in new uint[] { 6, 7, 9, 10 })
            Assert.Equal(0x80000003u, client.Ask(option, data)[^1].Type);
        Assert.Equal(1u, client.Ask(7, RawClient.GoText("disk"))[^1].Type);
    }

    [Fact(Timeout = 20_000)]
    public async Task Meta_contexts_need_structured_replies_and_match_by_name()
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Greet();
        Assert.Equal(0x80000003u, client.Ask(10, RawClient.ContextText("disk", "base:allocation"))[^1].Type);
        Assert.Equal(1u, client.Ask(8, [])[^1].Type);
        Assert.Equal(0x80000003u, client.Ask(8, [])[^1].Type);
        Assert.Equal(3, client.Ask(9, RawClient.ContextText("disk")).Count);
        Assert.Equal(2, client.Ask(9, RawClient.ContextText("disk", "base:")).Count);
        Assert.Equal([1u], client.Ask(9, RawClient.ContextText("disk", "qemu:")).Select(r => r.Type));
        Assert.Equal([1u], client.Ask(10, RawClient.ContextText("disk", "base:")).Select(r => r.Type));
        Assert.Equal([4u, 1u], client.Ask(10, RawClient.ContextText("disk", "x:y", "base:allocation")).Select(r => r.Type));
        Assert.Equal(0x80000006u, client.Ask(10, RawClient.ContextText("nope", "base:allocation"))[^1].Type);
    }

    [Theory(Timeout = 20_000)]
    [InlineData("disk", "disk", NbdError.None)]
    [InlineData("disk", "other", NbdError.Invalid)]
    public async Task A_context_holds_for_the_export_it_was_chosen_for(string chosen, string used, object expected)
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Greet();
        client.Ask(8, []);
        client.Ask(10, RawClient.ContextText(chosen, "base:allocation"));
        client.Ask(7, RawClient.GoText(used));
        Assert.Equal((NbdError)expected, client.Ask(NbdCommand.BlockStatus, 0, 512).Error);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(3u, 10)]
    [InlineData(1u, 134)]
    public async Task The_old_export_name_option_leads_into_transmission(uint flags, int length)
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Greet(flags);
        client.Send(RawClient.Option(1, "disk"u8));
        var reply = client.Receive(length);
        Assert.Equal(Size, BinaryPrimitives.ReadInt64BigEndian(reply));
        Assert.Equal(512, client.Ask(NbdCommand.Read, 0, 512).Data.Length);
    }

    [Fact(Timeout = 20_000)]
    public async Task Abort_is_acknowledged_and_ends_the_connection()
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Greet();
        Assert.Equal(1u, client.Ask(2, [])[^1].Type);
        Assert.Empty(client.ReceiveToEnd());
    }

    [Theory(Timeout = 20_000)]
    [InlineData(new byte[] { 0, 0, 0, 7 })] // a flag nobody has defined
    [InlineData(new byte[] { 0, 0, 0, 0 })] // the handshake before "fixed"
    [InlineData(new byte[] { 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 7, 0, 0, 0, 0 })] // no magic
    [InlineData(new byte[] { 0, 0, 0, 3, 0x49, 0x48, 0x41, 0x56, 0x45, 0x4F, 0x50, 0x54, 0, 0, 0, 7, 255, 255, 255, 255 })] // 4 GiB
    [InlineData(new byte[] { 0, 0, 0, 3, 0x49, 0x48, 0x41, 0x56, 0x45, 0x4F, 0x50, 0x54, 0, 0, 0, 1, 0, 0, 0, 1, 65 })] // export "A"
    public async Task What_cannot_be_answered_ends_the_connection(byte[] bytes)
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Receive(18);
        client.Send(bytes);
        Assert.Empty(client.ReceiveToEnd());
        using var good = _server.Connect();
        Assert.Equal(512, good.Go().Ask(NbdCommand.Read, 0, 512).Data.Length);
    }

    [Fact(Timeout = 20_000)]
    public async Task Options_without_end_end_the_connection()
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Greet();
        for (var i = 0; i < 255; i++)
            Assert.Equal(0x80000001u, client.Ask(99, [])[^1].Type);
        client.Send(RawClient.Option(99, []));
        client.ReceiveOptionReply(99);
        Assert.Empty(client.ReceiveToEnd());
    }

    [Theory(Timeout = 20_000)]
    [InlineData(0)]
    [InlineData(4)]
    [InlineData(11)]
    public async Task A_handshake_that_takes_too_long_is_cut_off(int sent)
    {
        var time = new FakeTimeProvider();
        await using var server = new ServerUnderTest(_disk, new NbdServerOptions { Time = time, HandshakeTimeout = TimeSpan.FromSeconds(5) });
        using var slow = server.Connect();
        using var done = server.Connect();
        done.Go();
        // Answered: only now is its handshake over for the server as well.
        Assert.Equal(NbdError.None, done.Ask(NbdCommand.Flush).Error);
        slow.Receive(18);
        slow.Send(RawClient.HandshakeBytes().AsSpan(0, sent));
        time.Advance(TimeSpan.FromSeconds(6));
        Assert.Empty(slow.ReceiveToEnd());
        Assert.Equal(NbdError.None, done.Ask(NbdCommand.Flush).Error);
    }
}
