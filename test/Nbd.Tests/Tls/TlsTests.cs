using System.Security.Authentication;
using Godwit.Nbd.Tests.Nbd;
using Godwit.Storage;
using Godwit.Testing;
using Godwit.Testing.Disks;
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
        TlsServer.StartTls(client);
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await using var secure = await server.SecureAsync(client, protocol, certified);
            await secure.WriteAsync(RawClient.Option(7, RawClient.GoText("disk")));
            await secure.ReadExactlyAsync(new byte[20]);
        });
        await server.ProblemAsync(reason);
    }

    private static async Task<StorageException> RefusedAsync(Func<ValueTask<NbdDevice>> connect)
    {
        var failure = await Assert.ThrowsAsync<StorageException>(async () => await connect());
        Assert.Equal(StorageErrorKind.AccessDenied, failure.Kind);
        return failure;
    }
}
