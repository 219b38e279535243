using System.Net.Security;
using System.Net.Sockets;
using Godwit.Nbd.Protocol;
using Godwit.Nbd.Tests.Nbd;
using Godwit.Storage;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Nbd.Tests.Tls;

/// <summary>How encrypted connections end: nobody waits for ever, nobody loses an answer.</summary>
public sealed class TlsEndTests
{
    private const int Size = 32 << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact(Timeout = 60_000)]
    public async Task Stopping_answers_what_has_arrived()
    {
        var disk = new GatedDisk(Size);
        await using var server = new TlsServer(disk);
        await using var device = await server.OpenAsync(server.ClientIdentity);
        var gate = disk.HoldWrites();
        var writing = device.WriteAsync(0, new byte[300 << 10], WriteFlags.None, None).AsTask();
        while (disk.Waiting == 0)
            await Task.Delay(5);
        var stopping = server.StopAsync();
        gate.SetResult();
        await writing;
        await stopping;
        var late = await Assert.ThrowsAsync<StorageException>(async () => await device.ReadAsync(0, new byte[512], None));
        Assert.Equal(StorageErrorKind.Closed, late.Kind);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_client_that_sends_no_more_gets_its_answers()
    {
        await using var server = new TlsServer(new ReferenceDisk(Size));
        using var client = server.Connect();
        await using var secure = await GoAsync(server, client);
        await secure.WriteAsync(RawClient.Request(NbdCommand.Read, 0, 8 << 20));
        await secure.ShutdownAsync();
        await secure.ReadExactlyAsync(new byte[16 + (8 << 20)]);
        Assert.Equal(0, await secure.ReadAsync(new byte[1]));
        while (server.Server.Connections > 0)
            await Task.Delay(5);
        Assert.Empty(server.Problems);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_client_that_reads_nothing_is_given_up_when_the_server_stops(bool stop)
    {
        await using var server = new TlsServer(new ReferenceDisk(Size), new NbdServerOptions { StopTimeout = TimeSpan.FromMilliseconds(300) });
        using var client = server.Connect();
        await using var secure = await GoAsync(server, client);
        for (var i = 0u; i < 4; i++)
            await secure.WriteAsync(RawClient.Request(NbdCommand.Read, 0, Size, i));
        if (!stop)
            await secure.WriteAsync(RawClient.Request(NbdCommand.Disconnect, 0, 0));
        await server.StopAsync();
        Assert.Equal(0, server.Server.Connections);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_client_that_vanishes_leaves_nothing_behind()
    {
        var disk = new GatedDisk(Size);
        await using var server = new TlsServer(disk);
        var threads = Threads();
        for (var i = 0; i < 20; i++)
        {
            using var client = server.Connect();
            var secure = await GoAsync(server, client);
            for (var cookie = 0u; cookie < 8; cookie++)
                await secure.WriteAsync(RawClient.Request(NbdCommand.Read, 0, 4 << 20, cookie));
            client.Socket.LingerState = new LingerOption(true, 0);
            client.Socket.Close();
            await secure.DisposeAsync();
        }

        while (server.Server.Connections > 0)
            await Task.Delay(5);
        Assert.True(Threads() < threads + 20, $"{Threads()} threads, {threads} before");
    }

    [Fact(Timeout = 60_000)]
    public async Task Garbage_in_the_middle_of_a_session_ends_it_and_a_half_sent_write_is_not_carried_out()
    {
        var disk = new JournalDisk(Size);
        await using var server = new TlsServer(disk);
        using var client = server.Connect();
        await using var secure = await GoAsync(server, client);
        await secure.WriteAsync(RawClient.Request(NbdCommand.Write, 0, 8192, payload: new byte[4096]));
        client.Send(new byte[4096]);
        client.ReceiveToEnd();
        while (server.Server.Connections > 0)
            await Task.Delay(5);
        Assert.Empty(disk.TakeChanges());
    }

    [Fact(Timeout = 60_000)]
    public async Task Many_connections_share_one_disk()
    {
        var disk = new ReferenceDisk(Size);
        await using var server = new TlsServer(disk);
        await Task.WhenAll(Enumerable.Range(0, 24).Select(async number =>
        {
            await using var device = await server.OpenAsync(server.ClientIdentity);
            var bytes = new byte[4096];
            Array.Fill(bytes, (byte)(number + 1));
            for (var block = number; block < 480; block += 24)
                await device.WriteAsync(block * 4096, bytes, WriteFlags.None, None);
        }));
        var all = disk.ToArray();
        for (var block = 0; block < 480; block++)
            Assert.False(all.AsSpan(block * 4096, 4096).ContainsAnyExcept((byte)((block % 24) + 1)));
    }

    private static int Threads() => Directory.GetDirectories("/proc/self/task").Length;

    private static async Task<SslStream> GoAsync(TlsServer server, RawClient client)
    {
        TlsServer.StartTls(client);
        var secure = await server.SecureAsync(client);
        await secure.WriteAsync(RawClient.Option(7, RawClient.GoText("disk")));
        var reply = new byte[20 + 12 + 20 + 14 + 20];
        await secure.ReadExactlyAsync(reply);
        return secure;
    }
}
