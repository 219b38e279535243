using Godwit.Storage;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

public sealed class ManyConnectionsTests
{
    private const int Connections = 250;
    private const int Share = 16 << 10;
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact(Timeout = 60_000)]
    public async Task Hundreds_of_connections_see_what_the_others_wrote_and_one_that_hangs_up_harms_nobody()
    {
        await using var server = new ServerUnderTest(new ReferenceDisk(Connections * Share));
        var devices = await Task.WhenAll(Enumerable.Range(0, Connections).Select(_ => server.OpenAsync().AsTask()));
        Assert.Equal(Connections, server.Server.Connections);
        await Task.WhenAll(devices.Select((device, i) => Task.Run(() => WriteAsync(device, i))));
        foreach (var device in devices.Where((_, i) => i % 2 == 0))
            await device.DisposeAsync();
        await Task.WhenAll(devices.Select((_, i) => i).Where(i => i % 2 == 1).Select(i => Task.Run(() => CheckAsync(devices[i], (i * 7) % Connections))));
        foreach (var device in devices.Where((_, i) => i % 2 == 1))
            await device.DisposeAsync();
    }

    [Fact(Timeout = 30_000)]
    public async Task One_more_than_the_limit_is_closed_and_the_place_of_one_that_leaves_is_free_again()
    {
        await using var server = new ServerUnderTest(new ReferenceDisk(1 << 20), new NbdServerOptions { MaxConnections = 2 });
        await using var first = await server.OpenAsync();
        var second = await server.OpenAsync();
        await Assert.ThrowsAsync<StorageException>(async () => await server.OpenAsync());
        await second.DisposeAsync();
        while (server.Server.Connections > 1)
            await Task.Delay(5, None);
        await using var third = await server.OpenAsync();
        await third.WriteAsync(0, new byte[512], WriteFlags.None, None);
    }

    private static async Task WriteAsync(NbdDevice device, int number)
    {
        for (var at = 0; at < Share; at += 4096)
            await device.WriteAsync(((long)number * Share) + at, Content(number, 4096), WriteFlags.None, None);
    }

    private static async Task CheckAsync(NbdDevice device, int number)
    {
        var bytes = new byte[Share];
        await device.ReadAsync((long)number * Share, bytes, None);
        Assert.Equal(Content(number, Share), bytes);
    }

    private static byte[] Content(int number, int length) => [.. Enumerable.Repeat((byte)number, length)];
}
