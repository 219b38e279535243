using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Godwit.Nbd.Tests.Nbd;
using Godwit.Storage;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.Nbd.Tests.Tls;

/// <summary>Encrypted connections between our own sides: what goes through, and who does not.</summary>
public sealed class TlsTests
{
    private const int Size = 8 << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact(Timeout = 30_000)]
    public async Task Everything_goes_through_and_the_goodbye_is_clean()
    {
        var disk = new ReferenceDisk(Size);
        await using var server = new TlsServer(disk);
        await using (var device = await server.OpenAsync(server.ClientIdentity))
        {
            var random = new Random(5);
            foreach (var length in new[] { 512, 4096, 16_384, 100_352, 1 << 20, 4 << 20 })
            {
                var bytes = new byte[length];
                random.NextBytes(bytes);
                await device.WriteAsync(Size - length, bytes, WriteFlags.ForceUnitAccess, None);
                var read = new byte[length];
                await device.ReadAsync(Size - length, read, None);
                Assert.True(bytes.AsSpan().SequenceEqual(read), $"{length} bytes came back changed");
            }

            await Task.WhenAll(Enumerable.Range(0, 200).Select(i => device.ReadAsync(i * 512, new byte[65_536], None).AsTask()));
            Assert.True((await device.GetExtentAsync(0, Size / 2, None)).ReadsAsZeroes);
        }

        while (server.Server.Connections > 0)
            await Task.Delay(5);
        Assert.Empty(server.Problems);
    }

    [Fact(Timeout = 30_000)]
    public async Task Names_are_checked_and_a_socket_without_one_needs_it()
    {
        await using var server = new TlsServer(new ReferenceDisk(Size));
        await using (await server.OpenAsync(server.ClientIdentity, "localhost"))
            Assert.Equal(1, server.Server.Connections);
        var failure = await RefusedAsync(() => server.OpenAsync(server.ClientIdentity, "elsewhere.example"));
        Assert.Contains("another name than elsewhere.example", failure.Message, StringComparison.Ordinal);
        await using var plain = new ServerUnderTest(new ReferenceDisk(Size));
        failure = await Assert.ThrowsAsync<StorageException>(
            async () => await plain.OpenAsync("disk", new NbdClientOptions { Tls = server.ClientIdentity }));
        Assert.Equal(StorageErrorKind.InvalidRequest, failure.Kind);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("expired", "has expired")]
    [InlineData("stranger", "authority that is trusted here")]
    [InlineData("impostor", "authority that is trusted here")]
    [InlineData("server", "not meant for a client")]
    public async Task A_client_without_a_good_certificate_is_refused_and_both_sides_say_so(string who, string reason)
    {
        await using var server = new TlsServer(new ReferenceDisk(Size));
        using var other = new TestAuthority(who == "impostor" ? "Test Authority" : "Other Authority");
        using var identity = (who is "stranger" or "impostor" ? other : server.Authority).Identity(
            server.Folder.File("bad"), "mallory", forServer: who == "server", expired: who == "expired", trusting: server.Authority);
        var failure = await RefusedAsync(() => server.OpenAsync(identity));
        Assert.Contains("TLS", failure.Message, StringComparison.Ordinal);
        Assert.Contains("CN=mallory", await server.ProblemAsync(reason), StringComparison.Ordinal);
        await using var good = await server.OpenAsync(server.ClientIdentity);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_server_without_a_good_certificate_is_refused()
    {
        await using var expired = new TlsServer(new ReferenceDisk(Size), expired: true);
        var failure = await RefusedAsync(() => expired.OpenAsync(expired.ClientIdentity));
        Assert.Contains("server's certificate (CN=localhost) has expired", failure.Message, StringComparison.Ordinal);
        await using var other = new TlsServer(new ReferenceDisk(Size));
        failure = await RefusedAsync(() => expired.OpenAsync(other.ClientIdentity));
        Assert.Contains("server's certificate", failure.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task Neither_side_falls_back_to_clear()
    {
        await using var server = new TlsServer(new ReferenceDisk(Size));
        var failure = await RefusedAsync(() => server.OpenAsync(null));
        Assert.Contains("takes only encrypted connections", failure.Message, StringComparison.Ordinal);
        await using var plain = new ServerUnderTest(new ReferenceDisk(Size));
        failure = await Assert.ThrowsAsync<StorageException>(
            async () => await plain.OpenAsync("disk", new NbdClientOptions { Tls = server.ClientIdentity, ServerName = "localhost" }));
        Assert.Equal(StorageErrorKind.Unsupported, failure.Kind);
        Assert.Contains("does not encrypt", failure.Message, StringComparison.Ordinal);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(SslProtocols.Tls13, false, "has shown no certificate")]
    [InlineData(SslProtocols.Tls12, true, "TLS")]
    public async Task No_certificate_and_an_old_protocol_are_refused(SslProtocols protocol, bool certified, string reason)
    {
        await using var server = new TlsServer(new ReferenceDisk(Size));
        using var client = server.Connect();
        StartTls(client);
        await using var secure = new SslStream(new NetworkStream(client.Socket), false, (_, certificate, _, _) => certificate is not null);
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await secure.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = "localhost",
                EnabledSslProtocols = protocol,
                ClientCertificateContext = certified ? server.ClientIdentity.Context : null,
            });
            await secure.WriteAsync(RawClient.Option(7, RawClient.GoText("disk")));
            await secure.ReadExactlyAsync(new byte[20]);
        });
        await server.ProblemAsync(reason);
    }

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
        StartTls(client);
        await using var secure = await SecureAsync(server, client);
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
            StartTls(client);
        if (stage == 2)
            secure = await SecureAsync(server, client);
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
            StartTls(client);
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

    private static void StartTls(RawClient client)
    {
        client.Greet();
        Assert.Equal(1u, client.Ask(5, [])[^1].Type);
    }

    private static async Task<SslStream> SecureAsync(TlsServer server, RawClient client)
    {
        var secure = new SslStream(new NetworkStream(client.Socket), false, (_, certificate, _, _) => certificate is not null);
        await secure.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            ClientCertificateContext = server.ClientIdentity.Context,
        });
        return secure;
    }

    private static async Task<uint> AskAsync(SslStream secure, uint option)
    {
        await secure.WriteAsync(RawClient.Option(option, []));
        var header = new byte[20];
        await secure.ReadExactlyAsync(header);
        await secure.ReadExactlyAsync(new byte[System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(16))]);
        return System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(12));
    }

    private static async Task<StorageException> RefusedAsync(Func<ValueTask<NbdDevice>> connect)
    {
        var failure = await Assert.ThrowsAsync<StorageException>(async () => await connect());
        Assert.Equal(StorageErrorKind.AccessDenied, failure.Kind);
        return failure;
    }
}
