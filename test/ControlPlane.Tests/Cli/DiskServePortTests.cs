using System.Globalization;
using System.Net;
using System.Text.Json;
using Godwit.Cli;
using Godwit.ControlPlane.Tests.Cli.Kills;
using Godwit.Nbd;
using Godwit.Storage.Formats;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

/// <summary>Serving a disk on a port: in clear to this computer alone, encrypted to whom the authority vouches for.</summary>
public sealed class DiskServePortTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly TestAuthority _authority = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string[] Tls => ["--tls-cert", "tls/cert.pem", "--tls-key", "tls/key.pem", "--tls-ca", "tls/ca.pem"];

    public void Dispose()
    {
        _authority.Dispose();
        _folder.Dispose();
    }

    [Fact(Timeout = 60_000)]
    public async Task A_loopback_port_is_served_in_clear()
    {
        await DiskImage.CreateAsync(At("d.img"), ImageFormat.Raw, 1 << 20, null, Token);
        using var run = new CliRun { Folder = _folder.Path };
        var serving = run.RunAsync("disk", "serve", "d.img", "--listen", "127.0.0.1:0", "--name", "n", "--read-only", "--json");
        var port = await PortAsync(serving, () => run.ErrorSoFar);
        await using (var client = await NbdDevice.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), "n", Token))
            Assert.Equal(1 << 20, client.Length);
        run.Interrupt();
        var report = JsonDocument.Parse((await serving).Out).RootElement;
        Assert.Equal($"nbd://127.0.0.1:{port}/n", report.GetProperty("uri").GetString());
        Assert.Equal($"127.0.0.1:{port}", report.GetProperty("listen").GetString());
        Assert.False(report.GetProperty("encrypted").GetBoolean());
        Assert.False(report.TryGetProperty("socket", out _));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_port_can_be_listened_on_again_at_once_and_not_by_two()
    {
        await DiskImage.CreateAsync(At("d.img"), ImageFormat.Raw, 1 << 20, null, Token);
        using var first = new CliRun { Folder = _folder.Path };
        var serving = first.RunAsync("disk", "serve", "d.img", "--listen", "127.0.0.1:0", "--read-only");
        var port = await PortAsync(serving, () => first.ErrorSoFar);
        var second = await RefusedAsync("--listen", $"127.0.0.1:{port}", "--read-only");
        Assert.Contains("cannot listen there", second.Error, StringComparison.Ordinal);
        var client = await NbdDevice.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), "", Token);
        first.Interrupt();
        await serving;
        await client.DisposeAsync();
        using var again = new CliRun { Folder = _folder.Path };
        serving = again.RunAsync("disk", "serve", "d.img", "--listen", $"127.0.0.1:{port}", "--read-only");
        Assert.Equal(port, await PortAsync(serving, () => again.ErrorSoFar));
        again.Interrupt();
        await serving;
    }

    [Fact(Timeout = 120_000)]
    public async Task The_built_program_serves_qemu_img_encrypted_and_nobody_without_a_certificate()
    {
        if (!File.Exists("/usr/bin/qemu-img"))
            Assert.Skip("needs qemu-img");
        await DiskImage.CreateAsync(At("d.vhdx"), ImageFormat.VhdxDynamic, 16 << 20, null, Token);
        _authority.WriteFiles(At("tls"), "localhost", forServer: true);
        _authority.WriteForQemu(At("qemu"), "qemu", forServer: false);
        var bytes = new byte[16 << 20];
        new Random(4).NextBytes(bytes.AsSpan(1 << 20, 5 << 20));
        await File.WriteAllBytesAsync(At("source"), bytes, Token);
        using var program = RunningProgram.Start(_folder.Path, ["disk", "serve", "d.vhdx", "--listen", "127.0.0.1:0", .. Tls]);
        var uri = await program.FirstLineAsync();
        Assert.StartsWith("nbds://127.0.0.1:", uri, StringComparison.Ordinal);
        var port = new Uri(uri).Port;
        (await QemuImgAsync("convert", "-n", "-f", "raw", At("source"), "--object", Credentials, "--target-image-opts", Image(port))).Succeeded();
        (await QemuImgAsync("convert", "-O", "raw", "--object", Credentials, "--image-opts", Image(port), At("copy"))).Succeeded();
        var refused = await QemuImgAsync("info", "-f", "raw", $"nbd://127.0.0.1:{port}/");
        Assert.NotEqual(0, refused.ExitCode);
        var ended = await program.InterruptAsync();
        Assert.Equal(ExitCode.Ok, ended.Code);
        Assert.DoesNotContain("PRIVATE KEY", ended.Out + ended.Error, StringComparison.Ordinal);
        Assert.True(bytes.AsSpan().SequenceEqual(File.ReadAllBytes(At("copy"))));
        await using var disk = await DiskImage.OpenAsync(At("d.vhdx"), null, readOnly: true, Token);
        var read = new byte[bytes.Length];
        await disk.ReadAsync(0, read, Token);
        Assert.True(bytes.AsSpan().SequenceEqual(read));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("0.0.0.0:0", "everybody on the network")]
    [InlineData("[::]:0", "everybody on the network")]
    [InlineData("192.0.2.7:10809", "everybody on the network")]
    [InlineData("127.0.0.1", "ADDRESS:PORT")]
    [InlineData("127.0.0.1:", "ADDRESS:PORT")]
    [InlineData("127.0.0.1:65536", "ADDRESS:PORT")]
    [InlineData("::1:5", "ADDRESS:PORT")]
    [InlineData("example.org:5", "ADDRESS:PORT")]
    public async Task An_address_open_to_all_or_unreadable_is_refused(string address, string reason)
    {
        var result = await RefusedAsync("--listen", address);
        Assert.Equal(ExitCode.Usage, result.Code);
        Assert.Contains(reason, result.Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task Half_an_identity_no_place_and_two_places_are_refused()
    {
        Assert.Contains("give either --socket", (await RefusedAsync()).Error, StringComparison.Ordinal);
        Assert.Contains("give either --socket", (await RefusedAsync("--socket", "s", "--listen", "127.0.0.1:0")).Error, StringComparison.Ordinal);
        var half = await RefusedAsync("--listen", "127.0.0.1:0", "--tls-cert", "tls/cert.pem", "--tls-ca", "tls/ca.pem");
        Assert.Contains("needs --tls-cert, --tls-key and --tls-ca", half.Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task Files_that_do_not_fit_are_named_and_not_quoted()
    {
        Assert.Contains("tls/ca.pem", (await RefusedAsync(["--listen", "127.0.0.1:0", .. Tls])).Error, StringComparison.Ordinal);
        _authority.WriteFiles(At("tls"), "localhost", forServer: true);
        var (_, otherKey) = _authority.Issue("other", forServer: true);
        await File.WriteAllTextAsync(At("tls/key.pem"), otherKey, Token);
        var error = (await RefusedAsync(["--listen", "127.0.0.1:0", .. Tls])).Error;
        Assert.Contains("no private key that fits", error, StringComparison.Ordinal);
        await File.WriteAllTextAsync(At("tls/key.pem"), "secret words", Token);
        error = (await RefusedAsync(["--listen", "127.0.0.1:0", .. Tls])).Error;
        Assert.Contains("key.pem", error, StringComparison.Ordinal);
        Assert.DoesNotContain("secret words", error, StringComparison.Ordinal);
        await File.WriteAllTextAsync(At("tls/cert.pem"), "no certificate", Token);
        Assert.Contains("holds no certificate", (await RefusedAsync(["--listen", "127.0.0.1:0", .. Tls])).Error, StringComparison.Ordinal);
    }

    private static async Task<int> PortAsync(Task<CliResult> serving, Func<string> said)
    {
        while (!said().Contains("until ^C", StringComparison.Ordinal))
        {
            if (serving.IsCompleted)
                Assert.Fail((await serving).Error);
            await Task.Delay(5, Token);
        }

        var words = said().Split(" on ")[^1];
        return int.Parse(words.AsSpan(words.LastIndexOf(':') + 1, words.IndexOf(' ', StringComparison.Ordinal) - words.LastIndexOf(':') - 1), CultureInfo.InvariantCulture);
    }

    private static Task<CommandResult> QemuImgAsync(params string[] arguments) => ChildProgram.RunAsync("qemu-img", arguments, null, Token);

    private string Credentials => $"tls-creds-x509,id=tls0,endpoint=client,dir={At("qemu")},verify-peer=yes";

    private static string Image(int port) =>
        $"driver=nbd,server.type=inet,server.host=127.0.0.1,server.port={port},tls-creds=tls0,tls-hostname=localhost";

    private async Task<CliResult> RefusedAsync(params string[] words)
    {
        if (!File.Exists(At("d.img")))
            await DiskImage.CreateAsync(At("d.img"), ImageFormat.Raw, 1 << 20, null, Token);
        using var run = new CliRun { Folder = _folder.Path };
        var result = await run.RunAsync(["disk", "serve", "d.img", .. words]);
        Assert.NotEqual(ExitCode.Ok, result.Code);
        return result;
    }

    private string At(string name) => Path.Combine(_folder.Path, name);
}
