using System.Diagnostics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Godwit.Api;
using Godwit.Host;
using Godwit.Host.Certificates;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.ControlPlane.Tests.Host;

/// <summary>The authority and certificates of a host, as files.</summary>
public sealed class CertificateTests : IDisposable
{
    private const UnixFileMode OwnerFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string _folder = Directory.CreateTempSubdirectory("godwit-tls-").FullName;

    private readonly FakeTimeProvider _time = new(TimeProvider.System.GetUtcNow());

    private HostFolders Folders => new(_folder, Path.Combine(_folder, "run"));

    public void Dispose() => Directory.Delete(_folder, true);

    [Fact]
    public void Keys_are_for_their_owner_only_and_the_files_are_named_as_QEMU_wants_them()
    {
        var status = New().Initialize(["h1.example", "192.0.2.7", "2001:db8::7"]);
        Assert.Equal(["h1.example", "192.0.2.7", "2001:db8::7"], status.Names);
        Assert.True(status.IsAuthority);
        foreach (var folder in new[] { Folders.Authority, Folders.Certificates })
        {
            Assert.Equal(OwnerFile | UnixFileMode.UserExecute, File.GetUnixFileMode(folder));
            Assert.All(Directory.EnumerateFiles(folder + "/"), file => Assert.Equal(OwnerFile, File.GetUnixFileMode(file)));
        }
        Assert.Equal(["ca-cert.pem", "ca-key.pem"], Names(Folders.Authority));
        Assert.Equal(["ca-cert.pem", "client-cert.pem", "client-key.pem", "server-cert.pem", "server-key.pem"], Names(Folders.Certificates + "/"));
        Assert.DoesNotContain("PRIVATE", File.ReadAllText(Path.Combine(Folders.Certificates, "server-cert.pem")), StringComparison.Ordinal);
    }

    [Fact]
    public void The_certificate_is_good_for_both_sides_and_for_what_QEMU_insists_on()
    {
        var certificates = New();
        certificates.Initialize(["h1.example"]);
        var card = certificates.Require();
        var usage = Assert.Single(card.Certificate.Extensions.OfType<X509KeyUsageExtension>());
        Assert.True(usage.Critical);
        Assert.Equal(X509KeyUsageFlags.DigitalSignature | X509KeyUsageFlags.KeyEncipherment, usage.KeyUsages);
        foreach (var use in new[] { "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2" })
        {
            using var chain = new X509Chain { ChainPolicy = card.NewPolicy() };
            chain.ChainPolicy.ApplicationPolicy.Add(new Oid(use));
            Assert.True(chain.Build(card.Certificate), string.Join(", ", chain.ChainStatus.Select(status => status.Status)));
        }
        Assert.True(card.Certificate.MatchesHostname("h1.example"));
        Assert.False(card.Certificate.MatchesHostname("h2.example"));
        // It signs hosts and no further authorities.
        var basic = Assert.Single(card.Authority.Extensions.OfType<X509BasicConstraintsExtension>());
        Assert.Equal((true, true, 0), (basic.CertificateAuthority, basic.HasPathLengthConstraint, basic.PathLengthConstraint));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("server"), InlineData("client")]
    public async Task QEMU_takes_the_files(string endpoint)
    {
        const string Qemu = "/usr/bin/qemu-system-x86_64";
        Assert.SkipUnless(File.Exists(Qemu), "no QEMU here");
        New().Initialize(["h1.example"]);
        var start = new ProcessStartInfo(
            Qemu, ["-machine", "none", "-display", "none", "-nodefaults", "-S", "-qmp", "stdio", "-object", $"tls-creds-x509,id=t,dir={Folders.Certificates},endpoint={endpoint},verify-peer=yes"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        await process.StandardInput.WriteAsync("""{"execute":"qmp_capabilities"}{"execute":"quit"}""");
        process.StandardInput.Close();
        var error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, error);
    }

    [Fact]
    public void Renewing_makes_a_new_key_for_the_same_names_and_keeps_the_one_before()
    {
        var certificates = New();
        var first = certificates.Initialize(["h1.example", "192.0.2.7"]);
        var key = File.ReadAllText(Path.Combine(Folders.Certificates, "server-key.pem"));
        _time.Advance(TimeSpan.FromDays(1));
        var second = certificates.Renew(null);
        Assert.Equal(first.Names, second.Names);
        Assert.Equal(first.AuthorityFingerprint, second.AuthorityFingerprint);
        Assert.NotEqual(first.Fingerprint, second.Fingerprint);
        Assert.Equal(first.NotAfter.AddDays(1), second.NotAfter, TimeSpan.FromSeconds(1));
        Assert.NotEqual(key, File.ReadAllText(Path.Combine(Folders.Certificates, "server-key.pem")));
        Assert.Equal(["other"], certificates.Renew(["other"]).Names);
        certificates.Renew(null);
        Assert.Equal(2, Directory.EnumerateDirectories(_folder).Count(folder => folder.Contains("/tls.", StringComparison.Ordinal)));
        Assert.Equal(New().Status().Fingerprint, certificates.Status().Fingerprint);
    }

    [Fact]
    public void It_is_due_when_a_third_of_its_life_is_left()
    {
        var certificates = New();
        Assert.False(certificates.IsDue);
        certificates.Initialize(["h1"]);
        _time.Advance(TimeSpan.FromDays(243));
        Assert.False(certificates.IsDue);
        _time.Advance(TimeSpan.FromDays(2));
        Assert.True(certificates.IsDue);
        certificates.Renew(null);
        Assert.False(certificates.IsDue);
    }

    /// <summary>Every state that a kill between two steps can leave.</summary>
    [Fact]
    public void A_kill_in_the_middle_leaves_the_old_pair_or_the_new_and_the_next_call_goes_on()
    {
        Directory.CreateDirectory(Folders.Authority + ".new");
        File.WriteAllText(Path.Combine(Folders.Authority + ".new", "ca-cert.pem"), "half");
        New().Initialize(["h1"]);
        // The authority was there, the host's certificate not yet.
        Directory.Delete(Folders.Certificates);
        var first = New().Initialize(["h1"]);
        // A new pair was written in part, then whole, and the link made beside, but not yet put in its place.
        Directory.CreateDirectory(Path.Combine(_folder, "tls.dead.new"));
        Directory.CreateDirectory(Path.Combine(_folder, "tls.dead"));
        File.CreateSymbolicLink(Folders.Certificates + ".link.new", "tls.dead");
        Assert.Equal(first.Fingerprint, New().Status().Fingerprint);
        var second = New().Renew(null);
        Assert.Equal(second.Fingerprint, New().Status().Fingerprint);
        Assert.Equal(2, Directory.EnumerateDirectories(_folder).Count(folder => folder.Contains("/tls.", StringComparison.Ordinal)));
    }

    [Fact]
    public void There_is_one_authority_and_what_is_damaged_is_told()
    {
        Assert.Equal(ErrorCode.WrongState, Refused(() => New().Status()));
        Assert.Equal(ErrorCode.WrongState, Refused(() => New().Renew(null)));
        New().Initialize(["h1"]);
        Assert.Equal(ErrorCode.AlreadyExists, Refused(() => New().Initialize(["h1"])));
        foreach (var names in new string[][] { [], ["a b"], ["-a"], ["a..b"], ["*.example"], ["fe80::1%eth0"], ["a/b"], [""], [null!, "vm"] })
            Assert.Equal(ErrorCode.InvalidRequest, Refused(() => New().Renew(names)));
        File.WriteAllText(Path.Combine(Folders.Authority, "ca-key.pem"), "SECRET");
        var e = Assert.Throws<GodwitException>(() => New().Renew(null));
        Assert.Equal(ErrorCode.Corrupt, e.Problem.Code);
        Assert.DoesNotContain("SECRET", e.ToString(), StringComparison.Ordinal);
        File.Delete(Path.Combine(Folders.Certificates, "server-key.pem"));
        Assert.Equal(ErrorCode.Corrupt, Refused(() => New()));
    }

    [Fact]
    public void This_computers_names_make_a_certificate() =>
        Assert.Contains("127.0.0.1", CertificateNames.Check(CertificateNames.OfThisComputer()));

    private HostCertificates New() => new(Folders, _time);

    private static ErrorCode Refused(Func<object> action) => Assert.Throws<GodwitException>(action).Problem.Code;

    private static IEnumerable<string?> Names(string folder) => Directory.EnumerateFiles(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal);
}
