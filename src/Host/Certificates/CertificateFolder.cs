using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Godwit.Api;

namespace Godwit.Host.Certificates;

/// <summary>
/// The host's certificate, its key and its authority as PEM files, named as QEMU's tls-creds-x509 wants them. "tls" is a link to
/// a folder that never changes: certificate and key are exchanged together, and whoever reads through the link once has a pair.
/// </summary>
/// <param name="link">The path of the link.</param>
internal sealed class CertificateFolder(string link)
{
    public string Path => link;

    /// <summary>The certificate with its key, and the authority; null when there are none.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Corrupt"/>.</exception>
    public (X509Certificate2 Certificate, X509Certificate2 Authority)? Read()
    {
        if (Current() is not { } folder)
        {
            return null;
        }
        try
        {
            var certificate = X509Certificate2.CreateFromPemFile(
                System.IO.Path.Combine(folder, "server-cert.pem"), System.IO.Path.Combine(folder, "server-key.pem"));
            var authority = X509Certificate2.CreateFromPem(
                File.ReadAllText(System.IO.Path.Combine(folder, CertificateAuthority.CertificateName)));
            return (certificate, authority);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException or FileNotFoundException)
        {
            throw new GodwitException(
                ErrorCode.Corrupt, $"The certificates in '{folder}' cannot be read.",
                $"Restore them from a backup; or remove '{link}' and run 'godwit host init' again, or 'godwit host join'.");
        }
    }

    /// <summary>Puts a new certificate in the place of the old one.</summary>
    public void Replace(X509Certificate2 certificate, ECDsa key, X509Certificate2 authority)
    {
        var before = Current();
        var (certificateText, keyText) = (certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
        var name = $"{System.IO.Path.GetFileName(link)}.{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4))}";
        PrivateFiles.CreateFolder(
            System.IO.Path.Combine(System.IO.Path.GetDirectoryName(link)!, name),
            [
                (CertificateAuthority.CertificateName, authority.ExportCertificatePem()),
                ("server-cert.pem", certificateText), ("server-key.pem", keyText),
                ("client-cert.pem", certificateText), ("client-key.pem", keyText),
            ]);
        PrivateFiles.Point(link, name);
        RemoveOld(name, before);
    }

    private string? Current() =>
        new DirectoryInfo(link) is { LinkTarget: { } target } ? System.IO.Path.Combine(System.IO.Path.GetDirectoryName(link)!, target) : null;

    // The one before stays: a QEMU that is just starting may be reading it.
    private void RemoveOld(string current, string? before)
    {
        // Simple: as Windows matches, "tls.*" would be the link too.
        var options = new EnumerationOptions { MatchType = MatchType.Simple, AttributesToSkip = 0 };
        foreach (var folder in Directory.EnumerateDirectories(System.IO.Path.GetDirectoryName(link)!, System.IO.Path.GetFileName(link) + ".*", options))
        {
            if (System.IO.Path.GetFileName(folder) != current && folder != before)
            {
                Directory.Delete(folder, true);
            }
        }
    }
}
