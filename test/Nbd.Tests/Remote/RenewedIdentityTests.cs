using Godwit.Nbd.Remote;
using Godwit.Nbd.Tests.Nbd;
using Godwit.Nbd.Tests.Tls;
using Godwit.Storage;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Nbd.Tests.Remote;

/// <summary>Certificates that are renewed on disk, and links that break as soon as they are made.</summary>
public sealed class RenewedIdentityTests : IDisposable
{
    private const int Size = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly TempFolder _folder = new();
    private readonly List<string> _said = [];

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = 60_000)]
    public async Task A_link_that_is_made_again_uses_what_the_files_hold_then()
    {
        var served = new ReferenceDisk(Size);
        await using var before = new TlsServer(served);
        await using var after = new TlsServer(served);
        await using var link = new BreakableLink(before.EndPoint);
        before.Authority.WriteFiles(_folder.File("tls"), "worker", forServer: false);
        await using var disk = await RemoteDisk.ConnectAsync(Options(link), None);

        // The link that stands is not touched, whatever the files hold.
        after.Authority.WriteFiles(_folder.File("tls"), "worker", forServer: false);
        await disk.WriteAsync(0, new byte[512], WriteFlags.None, None);
        Assert.Empty(_said);
        await before.StopAsync();
        link.Server = after.EndPoint;
        await WriteAsync(disk);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("key.pem", null)]
    [InlineData("cert.pem", "-----BEGIN CERTIFICATE-----\nnonsense")]
    [InlineData("ca.pem", "")]
    public async Task Bad_files_are_said_once_and_the_identity_of_before_goes_on(string file, string? content)
    {
        await using var server = new TlsServer(new ReferenceDisk(Size));
        await using var link = new BreakableLink(server.EndPoint);
        server.Authority.WriteFiles(_folder.File("tls"), "worker", forServer: false);
        await using var disk = await RemoteDisk.ConnectAsync(Options(link), None);
        var path = Path.Combine(_folder.File("tls"), file);
        if (content is null)
            File.Delete(path);
        else
            await File.WriteAllTextAsync(path, content, None);
        for (var round = 0; round < 2; round++)
        {
            link.Cut();
            await Task.Delay(50, None);
            link.Mend();
            await WriteAsync(disk);
        }

        lock (_said)
            Assert.Contains(path, Assert.Single(_said, each => each.Contains("those of before are used", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_disk_that_is_expected_waits_for_good_files()
    {
        await using var server = new TlsServer(new ReferenceDisk(Size));
        await using var link = new BreakableLink(server.EndPoint);
        await using var disk = RemoteDisk.Expect(Options(link), Size, DiskCapabilities.Default);
        disk.FoundAgain = () => Task.CompletedTask;
        while (disk.Trouble?.Kind != StorageErrorKind.NotFound)
            await Task.Delay(5, None);
        var refused = await Assert.ThrowsAsync<StorageException>(async () => await disk.WriteAsync(0, new byte[512], WriteFlags.None, None));
        Assert.Contains("ca.pem", refused.Message, StringComparison.Ordinal);
        server.Authority.WriteFiles(_folder.File("tls"), "worker", forServer: false);
        await UntilReachableAsync(disk);
    }

    [Fact(Timeout = 60_000)]
    public async Task Links_that_break_as_soon_as_they_are_made_are_made_ever_more_rarely()
    {
        await using var server = new ServerUnderTest(new ReferenceDisk(Size));
        await using var link = new BreakableLink(server.EndPoint);
        await using var disk = await RemoteDisk.ConnectAsync(
            new RemoteDiskOptions(link.EndPoint, "disk", 1) { Connections = 1, FirstRetryAfter = TimeSpan.FromMilliseconds(20) }, None);
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        while (!stop.IsCancellationRequested)
        {
            await UntilReachableAsync(disk);
            link.Cut();
            link.Mend();
            while (disk.Trouble is null && !stop.IsCancellationRequested)
                await disk.ReadAsync(0, new byte[512], None).AsTask().ContinueWith(static _ => { }, TaskScheduler.Default);
        }

        // 20, 40, ... 1280 ms: without a wait it would be hundreds.
        Assert.InRange(link.Accepted, 3, 9);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_server_that_says_nothing_is_not_waited_for_without_limit()
    {
        await using var server = new ServerUnderTest(new ReferenceDisk(Size));
        await using var link = new BreakableLink(server.EndPoint);
        link.Silence();
        var options = new RemoteDiskOptions(link.EndPoint, "disk", 1) { ConnectLimit = TimeSpan.FromMilliseconds(200) };
        var error = await Assert.ThrowsAsync<StorageException>(() => RemoteDisk.ConnectAsync(options, None));
        Assert.Equal(StorageErrorKind.Unreachable, error.Kind);
        Assert.Contains("has not answered", error.Message, StringComparison.Ordinal);
    }

    private static async Task UntilReachableAsync(RemoteDisk disk)
    {
        while (disk.Trouble is not null)
            await Task.Delay(5, None);
    }

    /// <summary>Again and again until the loss of the link has been seen and the link is there again.</summary>
    private static async Task WriteAsync(RemoteDisk disk)
    {
        while (true)
        {
            try
            {
                await disk.WriteAsync(0, new byte[512], WriteFlags.None, None);
                return;
            }
            catch (StorageException e) when (e.Kind == StorageErrorKind.Unreachable)
            {
                await Task.Delay(5, None);
            }
        }
    }

    private RemoteDiskOptions Options(BreakableLink link)
    {
        var tls = _folder.File("tls");
        return new RemoteDiskOptions(link.EndPoint, "disk", 1)
        {
            Tls = () => NbdTlsIdentity.Load(Path.Combine(tls, "cert.pem"), Path.Combine(tls, "key.pem"), Path.Combine(tls, "ca.pem")),
            ServerName = "localhost",
            FirstRetryAfter = TimeSpan.FromMilliseconds(5),
            OnChange = said =>
            {
                lock (_said)
                    _said.Add(said);
            },
        };
    }
}
