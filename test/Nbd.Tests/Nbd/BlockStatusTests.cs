using System.Buffers.Binary;
using Godwit.Nbd.Protocol;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>Block status with several contexts, in both forms, and with a filter.</summary>
public sealed class BlockStatusTests : IAsyncDisposable
{
    private const ulong Vast = (ulong)VastDisk.Size;
    private const ulong Middle = Vast / 2;
    private readonly ServerUnderTest _server = new(null, new NbdExport("vast", new VastDisk()));

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    [Theory(Timeout = 20_000)]
    [InlineData(NbdCommandFlags.None)]
    [InlineData(NbdCommandFlags.RequestOne)]
    public async Task Extended_descriptors_have_64_bits_and_every_context_its_chunk(object flags)
    {
        await Task.Yield();
        using var client = _server.Connect().Go("vast", NbdHeaderForm.Extended, "godwit:layer", "base:allocation");
        var chunks = client.Ask(NbdCommand.BlockStatus, 512, Vast - 512, (NbdCommandFlags)flags).Chunks;
        Assert.All(chunks, chunk => Assert.Equal(NbdChunk.BlockStatusExtended, chunk.Type));
        (ulong, ulong)[] allocation = [(Middle - 512, 3), (Middle, 0)];
        (ulong, ulong)[] layer = [(Middle - 512, 3), (Middle, 0)];
        var count = (NbdCommandFlags)flags == NbdCommandFlags.None ? 2 : 1;
        Assert.Equal([(1u, allocation[..count]), (2u, layer[..count])], chunks.Select(chunk => Parse(chunk.Body, wide: true)));
    }

    [Fact(Timeout = 20_000)]
    public async Task Structured_replies_have_several_contexts_too()
    {
        await Task.Yield();
        using var client = _server.Connect().Go("vast", NbdHeaderForm.Structured, "base:allocation", "godwit:layer");
        var chunks = client.Ask(NbdCommand.BlockStatus, Middle - 4096, 8192).Chunks;
        Assert.All(chunks, chunk => Assert.Equal(NbdChunk.BlockStatus, chunk.Type));
        (ulong, ulong)[] both = [(4096, 3), (4096, 0)];
        Assert.Equal([(1u, both), (2u, both)], chunks.Select(chunk => Parse(chunk.Body, wide: false)));
    }

    [Theory(Timeout = 20_000)]
    [InlineData(1u)]
    [InlineData(2u)]
    [InlineData(2u, 1u)]
    public async Task A_filter_limits_the_reply_to_its_contexts(params uint[] ids)
    {
        await Task.Yield();
        using var client = _server.Connect().Go("vast", NbdHeaderForm.Extended, "base:allocation", "godwit:layer");
        var chunks = Filter(client, 4096, 1 << 20, ids).Chunks;
        Assert.Equal(ids.Order(), chunks.Select(chunk => Parse(chunk.Body, wide: true).Context));
        Assert.Equal([(1ul << 20, 3ul)], Parse(chunks[0].Body, wide: true).Descriptors);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(0ul, 512ul)] // no context at all
    [InlineData(0ul, 512ul, 2u)] // one that exists and was not agreed on
    [InlineData(0ul, 512ul, 1u, 1u)]
    [InlineData(0ul, 512ul, 3u)]
    [InlineData(0ul, 512ul, 0u)]
    [InlineData(0ul, 512ul, 1u, 1u, 1u, 1u)]
    [InlineData(0ul, 0ul, 1u)]
    [InlineData(0ul, 1ul, 1u)]
    [InlineData(512ul, Vast, 1u)]
    [InlineData(0ul, ulong.MaxValue, 1u)]
    public async Task A_filter_that_makes_no_sense_is_refused_after_it_was_read(ulong offset, ulong length, params uint[] ids)
    {
        await Task.Yield();
        using var client = _server.Connect().Go("vast", NbdHeaderForm.Extended, "base:allocation");
        Assert.Equal(NbdError.Invalid, Filter(client, offset, length, ids).Error);
        Assert.Equal(512, client.Ask(NbdCommand.Read, 0, 512).Data.Length);
    }

    [Fact(Timeout = 20_000)]
    public async Task Lists_know_wildcards_and_choices_do_not()
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Greet();
        client.Ask(11, []);
        Assert.Equal(["base:allocation", "godwit:layer"], Names(9));
        Assert.Equal(["base:allocation"], Names(9, "base:"));
        Assert.Equal(["godwit:layer"], Names(9, "godwit:"));
        Assert.Equal(["base:allocation", "godwit:layer"], Names(9, "godwit:", "base:allocation", "base:"));
        Assert.Empty(Names(9, "godwit:dirt", "qemu:", "godwit"));
        Assert.Empty(Names(10, "base:", "godwit:", "godwit:layers"));
        Assert.Equal(["godwit:layer"], Names(10, "x-odd:y", "godwit:layer"));
        client.Ask(7, RawClient.GoText("vast"));

        IEnumerable<string> Names(uint option, params string[] queries) => client.Ask(option, RawClient.ContextText("vast", queries))
            .Where(reply => reply.Type == 4).Select(reply => System.Text.Encoding.UTF8.GetString(reply.Data.AsSpan(4)));
    }

    private static Reply Filter(RawClient client, ulong offset, ulong length, uint[] ids)
    {
        byte[] payload = [.. RawClient.Big32((uint)(length >> 32)), .. RawClient.Big32((uint)length), .. ids.SelectMany(RawClient.Big32)];
        return client.Ask(NbdCommand.BlockStatus, offset, (uint)payload.Length, NbdCommandFlags.PayloadLength, payload);
    }

    private static (uint Context, (ulong, ulong)[] Descriptors) Parse(byte[] body, bool wide)
    {
        var (start, size) = wide ? (8, 16) : (4, 8);
        var descriptors = new List<(ulong, ulong)>();
        for (var at = start; at < body.Length; at += size)
        {
            descriptors.Add(wide
                ? (BinaryPrimitives.ReadUInt64BigEndian(body.AsSpan(at)), BinaryPrimitives.ReadUInt64BigEndian(body.AsSpan(at + 8)))
                : (BinaryPrimitives.ReadUInt32BigEndian(body.AsSpan(at)), BinaryPrimitives.ReadUInt32BigEndian(body.AsSpan(at + 4))));
        }

        if (wide)
            Assert.Equal((uint)descriptors.Count, BinaryPrimitives.ReadUInt32BigEndian(body.AsSpan(4)));
        return (BinaryPrimitives.ReadUInt32BigEndian(body), [.. descriptors]);
    }
}
