using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Godwit.Storage;

namespace Godwit.Nbd.Tls;

/// <summary>Reads certificates and keys in PEM form.</summary>
internal static class PemFiles
{
    /// <summary>A certificate with its private key, and the certificates behind it in its file.</summary>
    /// <exception cref="StorageException">A file is missing, may not be read, or does not hold what it should.</exception>
    public static (X509Certificate2 Certificate, X509Certificate2Collection Chain) OwnCertificate(string certificatePath, string keyPath)
    {
        var all = Certificates(certificatePath);
        var key = ReadText(keyPath);
        try
        {
            var certificate = X509Certificate2.CreateFromPem(all[0].ExportCertificatePem(), key);
            all[0].Dispose();
            all.RemoveAt(0);
            return (certificate, all);
        }
        catch (Exception failure) when (failure is CryptographicException or ArgumentException)
        {
            // What the library says may quote the file; a key must not get into a message.
            throw Unusable(keyPath, $"holds no private key that fits the certificate {certificatePath}, or one with a password");
        }
    }

    /// <summary>The certificates of a file, at least one.</summary>
    /// <exception cref="StorageException">The file is missing, may not be read, or holds none.</exception>
    public static X509Certificate2Collection Certificates(string path)
    {
        var certificates = new X509Certificate2Collection();
        var text = ReadText(path);
        try
        {
            certificates.ImportFromPem(text);
        }
        catch (CryptographicException failure)
        {
            throw Unusable(path, $"cannot be read as certificates: {failure.Message}");
        }

        return certificates.Count > 0 ? certificates : throw Unusable(path, "holds no certificate in PEM form");
    }

    private static string ReadText(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception failure) when (failure is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new StorageException(StorageErrorKind.NotFound, "no such file; check the path", path, operation: "tls");
        }
        catch (Exception failure) when (failure is UnauthorizedAccessException or IOException)
        {
            throw new StorageException(StorageErrorKind.AccessDenied, failure.Message, path, operation: "tls");
        }
    }

    private static StorageException Unusable(string path, string why) =>
        new(StorageErrorKind.InvalidRequest, $"the file {why}", path, operation: "tls");
}
