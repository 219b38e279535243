using System.Net;
using Godwit.Nbd.Tests.Nbd;
using Godwit.Storage;
using Godwit.Testing;
using Xunit;

namespace Godwit.Nbd.Tests.Tls;

/// <summary>Somebody between an encrypted client and its server changes what passes. Oracle: errors, never a wait without end,
/// never data that differ, and nothing on the disk that the client did not send.</summary>
public sealed class TlsMutationTests(ITestOutputHelper output)
{
    private const int Size = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 120_000)]
    [InlineData(21, 150)]
    public async Task Changed_bytes_end_the_connection_and_nothing_else(int seed, int sessions)
    {
        var disk = new JournalDisk(Size);
        await using var server = new TlsServer(disk);
        using var folder = new TempFolder();
        var random = new Random(seed);
        var (failed, good) = (0, 0);
        for (var session = 0; session < sessions; session++)
        {
            await using var liar = new MutatingProxy(server.EndPoint, folder.File($"{session}.sock"), random.Next());
            try
            {
                await UseAsync(server, liar.EndPoint, (byte)(session + 1)).WaitAsync(TimeSpan.FromSeconds(10));
                good++;
            }
            catch (StorageException)
            {
                failed++;
            }

            foreach (var change in disk.TakeChanges())
                Assert.True(change is { Kind: "write", Offset: 0, Length: 65_536 } && !change.Bytes.AsSpan().ContainsAnyExcept((byte)(session + 1)), $"seed {seed}, session {session}");
        }

        output.WriteLine($"seed {seed}: {failed} failed, {good} succeeded");
        Assert.True(failed > sessions / 5, $"{failed} failed: the mutations do not do their work");
        await UseAsync(server, server.EndPoint, 7);
        while (server.Server.Connections > 0)
            await Task.Delay(5);
    }

    private static async Task UseAsync(TlsServer server, EndPoint through, byte value)
    {
        await using var device = await NbdDevice.ConnectAsync(
            through, "disk", new NbdClientOptions { Tls = server.ClientIdentity, ServerName = "localhost" }, None);
        var bytes = new byte[65_536];
        Array.Fill(bytes, value);
        await device.WriteAsync(0, bytes, WriteFlags.None, None);
        var read = new byte[300 << 10];
        await device.ReadAsync(0, read, None);
        Assert.False(read.AsSpan(0, bytes.Length).ContainsAnyExcept(value), "changed data came through");
    }
}
