using System.Diagnostics;
using System.Net;
using Godwit.Nbd.Tests.Nbd;
using Godwit.Storage;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.Nbd.Tests.Tls;

/// <summary>Encrypted connections with QEMU on the other side, as client and as server.</summary>
public sealed class TlsInteropTests
{
    private const int Size = 16 << 20;

    [Fact(Timeout = 60_000)]
    public async Task Qemus_client_reads_and_writes()
    {
        await using var server = new TlsServer(new ReferenceDisk(Size));
        server.Authority.WriteForQemu(server.Folder.File("qemu"), "qemu", forServer: false);
        var result = await QemuIoAsync(server, "qemu", "localhost", "write -P 7 1M 2M", "write -z 64k 64k", "flush", "read -P 7 1M 2M", "read -P 0 0 1M");
        Assert.DoesNotContain("failed", result.Succeeded().Output + result.Error, StringComparison.Ordinal);
        var source = server.Folder.File("source");
        var bytes = new byte[Size];
        new Random(9).NextBytes(bytes);
        await File.WriteAllBytesAsync(source, bytes);
        (await Tool.RunAsync(
            "qemu-img", "convert", "-n", "-f", "raw", source, "--object", Credentials(server, "qemu"), "--target-image-opts", Image(server, "localhost"))).Succeeded();
        (await Tool.RunAsync(
            "qemu-img", "convert", "--object", Credentials(server, "qemu"), "--image-opts", Image(server, "localhost"), "-O", "raw", server.Folder.File("copy"))).Succeeded();
        var copy = await File.ReadAllBytesAsync(server.Folder.File("copy"));
        Assert.True(bytes.AsSpan().SequenceEqual(copy));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("expired", "has expired")]
    [InlineData("stranger", "authority that is trusted here")]
    [InlineData("none", "")]
    public async Task Qemus_client_is_refused_without_a_good_certificate(string who, string reason)
    {
        await using var server = new TlsServer(new ReferenceDisk(Size));
        using var other = new TestAuthority("Other Authority");
        (who == "stranger" ? other : server.Authority).WriteForQemu(
            server.Folder.File("qemu"), "qemu", forServer: false, expired: who == "expired", trusting: server.Authority);
        CommandResult result;
        if (who == "none")
        {
            result = await Tool.RunAsync("qemu-io", "-f", "raw", $"nbd://127.0.0.1:{server.EndPoint.Port}/disk", "-c", "read 0 4k");
            Assert.Contains("TLS", result.Error, StringComparison.Ordinal);
        }
        else
        {
            result = await QemuIoAsync(server, "qemu", "localhost", "read 0 4k");
            await server.ProblemAsync(reason);
        }

        Assert.NotEqual(0, result.ExitCode);
    }

    [Fact(Timeout = 60_000)]
    public async Task Our_client_gets_along_with_qemus_server()
    {
        using var folder = new TempFolder();
        using var authority = new TestAuthority();
        authority.WriteForQemu(folder.File("qemu"), "localhost", forServer: true);
        using var identity = authority.Identity(folder.File("us"), "us", forServer: false);
        using var other = new TestAuthority("Other Authority");
        using var stranger = other.Identity(folder.File("them"), "them", forServer: false, trusting: authority);
        var port = FreePort();
        using var process = StartQemuNbd(folder, port);
        try
        {
            await using (var device = await ConnectAsync(port, identity))
            {
                var bytes = new byte[1 << 20];
                new Random(3).NextBytes(bytes);
                await device.WriteAsync(4096, bytes, WriteFlags.ForceUnitAccess, CancellationToken.None);
                var read = new byte[bytes.Length];
                await device.ReadAsync(4096, read, CancellationToken.None);
                Assert.True(bytes.AsSpan().SequenceEqual(read));
            }

            var failure = await Assert.ThrowsAsync<StorageException>(async () => await ConnectAsync(port, stranger));
            Assert.Equal(StorageErrorKind.AccessDenied, failure.Kind);
            failure = await Assert.ThrowsAsync<StorageException>(async () => await ConnectAsync(port, null));
            Assert.Equal(StorageErrorKind.AccessDenied, failure.Kind);
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
        }
    }

    private static Process StartQemuNbd(TempFolder folder, int port)
    {
        Tool.Require("qemu-nbd");
        using (var file = File.Create(folder.File("disk.raw")))
            file.SetLength(Size);
        return ChildProgram.Start(
            "qemu-nbd",
            ["--object", $"tls-creds-x509,id=tls0,endpoint=server,dir={folder.File("qemu")},verify-peer=yes", "--tls-creds", "tls0",
                "-b", "127.0.0.1", "-p", $"{port}", "-f", "raw", "-t", "-e", "4", folder.File("disk.raw")],
            null, redirect: true);
    }

    private static async Task<NbdDevice> ConnectAsync(int port, NbdTlsIdentity? identity)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return await NbdDevice.ConnectAsync(
                    new IPEndPoint(IPAddress.Loopback, port), "", new NbdClientOptions { Tls = identity }, CancellationToken.None);
            }
            catch (StorageException failure) when (failure.Kind == StorageErrorKind.NotFound && attempt < 500)
            {
                await Task.Delay(20);
            }
        }
    }

    private static int FreePort()
    {
        using var socket = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private static string Credentials(TlsServer server, string folder) =>
        $"tls-creds-x509,id=tls0,endpoint=client,dir={server.Folder.File(folder)},verify-peer=yes,sanity-check=no";

    private static string Image(TlsServer server, string name) =>
        $"driver=nbd,server.type=inet,server.host=127.0.0.1,server.port={server.EndPoint.Port},export=disk,tls-creds=tls0,tls-hostname={name}";

    private static Task<CommandResult> QemuIoAsync(TlsServer server, string folder, string name, params string[] commands) => Tool.RunAsync(
        "qemu-io", ["--object", Credentials(server, folder), "--image-opts", Image(server, name), .. commands.SelectMany(command => (string[])["-c", command])]);
}
