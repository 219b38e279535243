using Godwit.Nbd.Tests.Nbd;
using Godwit.Storage;
using Xunit;

namespace Godwit.Nbd.Tests.Remote;

/// <summary>SUPERSEDE: a later writer is let in when nothing of an earlier one can land any more.</summary>
public sealed class WriterFenceTests : IAsyncDisposable
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly GatedDisk _disk = new(1 << 20);
    private readonly ServerUnderTest _server;

    public WriterFenceTests() => _server = new ServerUnderTest(_disk);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact(Timeout = 30_000)]
    public async Task A_later_writer_waits_for_what_an_earlier_one_had_asked_for()
    {
        await using var first = await OpenAsync(1);
        var gate = _disk.HoldWrites();
        var held = first.WriteAsync(0, Bytes(1), WriteFlags.None, None).AsTask();
        while (_disk.Waiting == 0)
            await Task.Delay(5, None);
        _disk.Open();
        var second = OpenAsync(2).AsTask();

        // The first is cut at once, but the second gets nowhere as long as the device works on the write.
        await Assert.ThrowsAsync<StorageException>(() => held);
        await Task.Delay(100, None);
        Assert.False(second.IsCompleted);
        gate.SetResult();
        await using var later = await second;
        await later.WriteAsync(0, Bytes(2), WriteFlags.None, None);
        Assert.Equal(Bytes(2), await ReadAsync(later));
        await Assert.ThrowsAsync<StorageException>(async () => await first.WriteAsync(0, Bytes(3), WriteFlags.None, None));
    }

    [Fact(Timeout = 30_000)]
    public async Task Writers_of_one_epoch_and_clients_without_one_live_side_by_side()
    {
        await using var reader = await _server.OpenAsync();
        await using var first = await OpenAsync(5);
        await using var second = await OpenAsync(5);
        await first.WriteAsync(0, Bytes(1), WriteFlags.None, None);
        Assert.Equal(Bytes(1), await ReadAsync(second));
        await using var later = await OpenAsync(6);
        await Assert.ThrowsAsync<StorageException>(async () => await ReadAsync(first));
        Assert.Equal(Bytes(1), await ReadAsync(reader));
    }

    [Fact(Timeout = 30_000)]
    public async Task An_earlier_writer_that_comes_late_is_refused()
    {
        await using var later = await OpenAsync(7);
        var refused = await Assert.ThrowsAsync<StorageException>(async () => await OpenAsync(6));
        Assert.Equal(StorageErrorKind.AccessDenied, refused.Kind);
        Assert.Contains("a later epoch", refused.Message, StringComparison.Ordinal);
        await later.WriteAsync(0, Bytes(1), WriteFlags.None, None);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("disk", new byte[] { 0, 0, 0, 0, 0, 0, 0, 0 })]
    [InlineData("disk", new byte[] { 0x80, 0, 0, 0, 0, 0, 0, 0 })]
    [InlineData("disk", new byte[] { 0, 0, 0, 1 })]
    [InlineData("disk", new byte[] { 0, 0, 0, 0, 0, 0, 0, 1, 1 })]
    [InlineData("nobody", new byte[] { 0, 0, 0, 0, 0, 0, 0, 1 })]
    public void A_malformed_one_is_answered_and_the_handshake_goes_on(string export, byte[] epoch)
    {
        using var client = _server.Connect();
        client.Greet();
        var error = client.Ask(0x4757_0001, [.. RawClient.Text(export), .. epoch])[^1].Type;
        Assert.Equal(export == "disk" ? 0x8000_0003 : 0x8000_0006, error);
        Assert.Equal(1u, client.Ask(7, RawClient.GoText("disk"))[^1].Type);
    }

    private static byte[] Bytes(byte value) => [.. Enumerable.Repeat(value, 4096)];

    private static async Task<byte[]> ReadAsync(NbdDevice device)
    {
        var bytes = new byte[4096];
        await device.ReadAsync(0, bytes, None);
        return bytes;
    }

    private ValueTask<NbdDevice> OpenAsync(long epoch) => _server.OpenAsync("disk", new NbdClientOptions { WriterEpoch = epoch });
}
