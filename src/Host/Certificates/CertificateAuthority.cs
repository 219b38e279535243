using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Godwit.Api;

namespace Godwit.Host.Certificates;

/// <summary>The authority that hosts trust, with its key: it signs the certificates of hosts and nothing else.</summary>
internal sealed class CertificateAuthority : IDisposable
{
    public const string CertificateName = "ca-cert.pem";

    private const string KeyName = "ca-key.pem";
    private const string ServerUse = "1.3.6.1.5.5.7.3.1";
    private const string ClientUse = "1.3.6.1.5.5.7.3.2";

    // Two hosts' clocks may differ by so much.
    private static readonly TimeSpan Skew = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan AuthorityLife = TimeSpan.FromDays(3650);

    private readonly ECDsa _key;

    private CertificateAuthority(X509Certificate2 certificate, ECDsa key) => (Certificate, _key) = (certificate, key);

    /// <summary>How long a host's certificate is good.</summary>
    public static TimeSpan HostLife { get; } = TimeSpan.FromDays(365);

    public X509Certificate2 Certificate { get; }

    /// <summary>Makes an authority and its folder, whole or not at all.</summary>
    /// <param name="folder">Must not exist.</param>
    /// <param name="host">The host it is made on, for its name.</param>
    /// <param name="now">The time.</param>
    public static void Create(string folder, string host, DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var name = new X500DistinguishedNameBuilder();
        // Two authorities of one host are told apart by it, also by programs that look at names only.
        name.AddCommonName($"Godwit {host[..Math.Min(host.Length, 40)]} {Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4))}");
        var request = new CertificateRequest(name.Build(), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        using var certificate = request.CreateSelfSigned(now - Skew, now + AuthorityLife);
        PrivateFiles.CreateFolder(
            folder, [(CertificateName, certificate.ExportCertificatePem()), (KeyName, key.ExportPkcs8PrivateKeyPem())]);
    }

    /// <summary>Reads an authority; null when there is none.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Corrupt"/>.</exception>
    public static CertificateAuthority? Find(string folder)
    {
        if (!Directory.Exists(folder))
        {
            return null;
        }
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(File.ReadAllText(Path.Combine(folder, KeyName)));
            var certificate = X509Certificate2.CreateFromPem(File.ReadAllText(Path.Combine(folder, CertificateName)));
            return new CertificateAuthority(certificate, key);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException or FileNotFoundException)
        {
            key.Dispose();
            // Not what the library says: it may quote the key.
            throw new GodwitException(
                ErrorCode.Corrupt, $"The authority in '{folder}' cannot be read.", "Restore the folder from a backup, or remove it and all hosts' certificates.");
        }
    }

    /// <summary>Signs a host's certificate.</summary>
    /// <param name="key">The host's public key.</param>
    /// <param name="host">The host's name, checked by the caller.</param>
    /// <param name="names">DNS names and addresses it is for, checked by the caller.</param>
    /// <param name="now">The time.</param>
    public X509Certificate2 Sign(PublicKey key, string host, IReadOnlyList<string> names, DateTimeOffset now)
    {
        var subject = new X500DistinguishedNameBuilder();
        subject.AddCommonName(host);
        var request = new CertificateRequest(subject.Build(), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        // QEMU refuses a certificate without either of them, also where the key cannot encipher.
        request.CertificateExtensions.Add(
            new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature | X509KeyUsageFlags.KeyEncipherment, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(ServerUse), new Oid(ClientUse)], false));
        request.CertificateExtensions.Add(CertificateNames.ToExtension(names));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(key, false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(Certificate, true, false));
        var serial = RandomNumberGenerator.GetBytes(16);
        // A positive number of full length.
        serial[0] = (byte)((serial[0] & 0x7F) | 0x40);
        var end = now + HostLife;
        return request.Create(
            Certificate.SubjectName, X509SignatureGenerator.CreateForECDsa(_key), now - Skew,
            end < Certificate.NotAfter ? end : Certificate.NotAfter, serial);
    }

    public void Dispose()
    {
        Certificate.Dispose();
        _key.Dispose();
    }
}
