using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Godwit.Nbd.Tests.Nbd;
using Godwit.Storage;
using Godwit.Testing.Disks;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.Nbd.Tests.Tls;

/// <summary>The way into an encrypted connection, step by step, with peers that do not keep to it.</summary>
public sealed class TlsHandshakeTests
{
    private const int Size = 8 << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact(Timeout = 30_000)]
    public async Task Before_tls_only_starttls_and_abort_are_answered()
    {
        await Task.Yield();
        await using var server = new TlsServer(new ReferenceDisk(Size));
        using (var client = server.Connect())
        {
            client.Greet();
            foreach (var option in new uint[] { 3, 6, 7, 8, 9, 10, 11, 4, 999 })
                Assert.Equal(0x80000005u, client.Ask(option, RawClient.GoText("disk"))[^1].Type);
            Assert.Equal(0x80000003u, client.Ask(5, "x"u8)[^1].Type);
            Assert.Equal(1u, client.Ask(2, [])[^1].Type);
            Assert.Empty(client.ReceiveToEnd());
        }

        using var old = server.Connect();
        old.Greet();
        old.Send(RawClient.Option(1, "disk"u8));
        Assert.Empty(old.ReceiveToEnd());
        await server.ProblemAsync("asked for an export in clear");
    }

    [Fact(Timeout = 30_000)]
    public async Task What_is_slipped_in_behind_starttls_ends_the_connection()
    {
        await using var server = new TlsServer(new ReferenceDisk(Size));
        using var client = server.Connect();
        client.Greet();
        client.Send([.. RawClient.Option(5, []), .. RawClient.Option(7, RawClient.GoText("disk"))]);
        Assert.Empty(client.ReceiveToEnd());
        await server.ProblemAsync("in clear behind STARTTLS");
    }

    [Fact(Timeout = 30_000)]
    public async Task The_client_takes_nothing_a_server_slips_in_behind_its_consent()
    {
        await using var server = new TlsServer(new ReferenceDisk(Size));
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        var lying = Task.Run(async () =>
        {
            using var socket = await listener.AcceptAsync();
            await socket.SendAsync((byte[])[.. "NBDMAGICIHAVEOPT"u8, 0, 3]);
            await socket.ReceiveAsync(new byte[4]);
            await socket.ReceiveAsync(new byte[16]);
            byte[] consent = [0, 3, 0xe8, 0x89, 4, 0x55, 0x65, 0xa9, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0];
            await socket.SendAsync((byte[])[.. consent, .. consent]);
            await socket.ReceiveAsync(new byte[1]);
        });
        var failure = await Assert.ThrowsAsync<StorageException>(async () => await NbdDevice.ConnectAsync(
            listener.LocalEndPoint!, "disk", new NbdClientOptions { Tls = server.ClientIdentity }, None));
        Assert.Contains("in clear behind its consent", failure.Message, StringComparison.Ordinal);
        await lying;
    }

    [Fact(Timeout = 30_000)]
    public async Task Options_agreed_on_before_do_not_count_and_tls_comes_once()
    {
        await using var server = new TlsServer(new ReferenceDisk(Size));
        using var client = server.Connect();
        TlsServer.StartTls(client);
        await using var secure = await server.SecureAsync(client);
        Assert.Equal(0x80000003u, await AskAsync(secure, 5));
        Assert.Equal(0x80000003u, await AskAsync(secure, 10));
        Assert.Equal(1u, await AskAsync(secure, 8));
        Assert.Equal(1u, await AskAsync(secure, 2));
        Assert.Equal(0, await secure.ReadAsync(new byte[1]));
    }

    [Theory(Timeout = 30_000)]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_handshake_that_takes_too_long_is_cut_off_at_every_stage(int stage)
    {
        var time = new FakeTimeProvider();
        await using var server = new TlsServer(new ReferenceDisk(Size), new NbdServerOptions { Time = time, HandshakeTimeout = TimeSpan.FromSeconds(5) });
        using var client = server.Connect();
        SslStream? secure = null;
        if (stage == 0)
            client.Receive(18);
        else
            TlsServer.StartTls(client);
        if (stage == 2)
            secure = await server.SecureAsync(client);
        time.Advance(TimeSpan.FromSeconds(6));
        await server.ProblemAsync("took longer than 5 s");
        while (server.Server.Connections > 0)
            await Task.Delay(5);
        if (secure is not null)
            await secure.DisposeAsync();
    }

    [Fact(Timeout = 60_000)]
    public async Task Garbage_in_place_of_tls_ends_only_that_connection()
    {
        var disk = new JournalDisk(Size);
        await using var server = new TlsServer(disk);
        await using var witness = await server.OpenAsync(server.ClientIdentity);
        var random = new Random(77);
        for (var session = 0; session < 200; session++)
        {
            using var client = server.Connect();
            TlsServer.StartTls(client);
            var bytes = new byte[random.Next(1, 3000)];
            random.NextBytes(bytes);
            if (random.Next(2) == 0)
                bytes = [0x16, 3, 1, (byte)random.Next(40), 0, 1, .. bytes];
            client.Send(bytes);
            client.Socket.Shutdown(SocketShutdown.Send);
            client.ReceiveToEnd();
        }

        while (server.Server.Connections > 1)
            await Task.Delay(5);
        Assert.Empty(disk.TakeChanges());
        await witness.ReadAsync(0, new byte[512], None);
    }

    private static async Task<uint> AskAsync(SslStream secure, uint option)
    {
        await secure.WriteAsync(RawClient.Option(option, []));
        var header = new byte[20];
        await secure.ReadExactlyAsync(header);
        await secure.ReadExactlyAsync(new byte[BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(16))]);
        return BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(12));
    }
}
