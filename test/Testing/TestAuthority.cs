using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Godwit.Testing;

/// <summary>An authority made for a test, and the certificates it gives out.</summary>
public sealed class TestAuthority : IDisposable
{
    private static readonly DateTimeOffset Today = TimeProvider.System.GetUtcNow();
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _certificate;

    public TestAuthority(string name = "Test Authority")
    {
        var request = new CertificateRequest($"CN={name}", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        _certificate = request.CreateSelfSigned(Today.AddDays(-400), Today.AddDays(10));
    }

    public string Pem => _certificate.ExportCertificatePem();

    public void Dispose()
    {
        _certificate.Dispose();
        _key.Dispose();
    }

    /// <summary>A certificate as two PEM texts.</summary>
    /// <param name="name">Common name, and the one DNS name; 127.0.0.1 is always there.</param>
    /// <param name="forServer">What it is meant for.</param>
    /// <param name="expired">It was good until yesterday.</param>
    public (string Certificate, string Key) Issue(string name, bool forServer, bool expired = false)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        names.AddIpAddress(System.Net.IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature | X509KeyUsageFlags.KeyEncipherment, true));
        request.CertificateExtensions.Add(
            new X509EnhancedKeyUsageExtension([new Oid(forServer ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2")], false));
        Span<byte> serial = stackalloc byte[8];
        RandomNumberGenerator.Fill(serial);
        using var certificate = request.Create(_certificate, Today.AddDays(-100), Today.AddDays(expired ? -1 : 5), serial);
        return (certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }

    /// <summary>Writes cert.pem, key.pem and ca.pem.</summary>
    /// <param name="folder">Made when missing.</param>
    /// <param name="name">The certificate's name.</param>
    /// <param name="forServer">What it is meant for.</param>
    /// <param name="expired">The certificate has expired.</param>
    /// <param name="trusting">The authority in ca.pem; this one when null.</param>
    public void WriteFiles(string folder, string name, bool forServer, bool expired = false, TestAuthority? trusting = null)
    {
        var (certificate, key) = Issue(name, forServer, expired);
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "cert.pem"), certificate);
        File.WriteAllText(Path.Combine(folder, "key.pem"), key);
        File.WriteAllText(Path.Combine(folder, "ca.pem"), (trusting ?? this).Pem);
    }

    /// <summary>Files where QEMU looks for them.</summary>
    /// <param name="folder">Made when missing.</param>
    /// <param name="name">The certificate's name.</param>
    /// <param name="forServer">QEMU is the server.</param>
    /// <param name="expired">The certificate has expired.</param>
    /// <param name="trusting">The authority in QEMU's file; this one when null.</param>
    public void WriteForQemu(string folder, string name, bool forServer, bool expired = false, TestAuthority? trusting = null)
    {
        var (certificate, key) = Issue(name, forServer, expired);
        var side = forServer ? "server" : "client";
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, $"{side}-cert.pem"), certificate);
        File.WriteAllText(Path.Combine(folder, $"{side}-key.pem"), key);
        File.WriteAllText(Path.Combine(folder, "ca-cert.pem"), (trusting ?? this).Pem);
    }
}
