using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Godwit.Api;
using Godwit.Api.Hosts;

namespace Godwit.Host.Certificates;

/// <summary>The host's certificates while the daemon runs: made, renewed, and at hand for every new connection.</summary>
/// <remarks>Thread-safe: changes behind a lock, reading without.</remarks>
internal sealed class HostCertificates
{
    private readonly Lock _gate = new();
    private readonly string _authorityFolder;
    private readonly CertificateFolder _folder;
    private readonly TimeProvider _time;
    private volatile HostIdentityCard? _current;

    /// <summary>Reads what there is.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Corrupt"/>: what is there cannot be read.</exception>
    public HostCertificates(HostFolders folders, TimeProvider time)
    {
        _authorityFolder = folders.Authority;
        _folder = new CertificateFolder(folders.Certificates);
        _time = time;
        Load();
    }

    /// <summary>The certificate in use; null when there is none.</summary>
    public HostIdentityCard? Current => _current;

    /// <summary>Whether less than a third of the certificate's life is left, and it can be renewed here.</summary>
    public bool IsDue => _current is { } card && Directory.Exists(_authorityFolder)
        && card.Certificate.NotAfter - _time.GetUtcNow() < (card.Certificate.NotAfter - card.Certificate.NotBefore) / 3;

    /// <summary>The certificate in use.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/>: there is none.</exception>
    public HostIdentityCard Require() => _current ?? throw new GodwitException(
        ErrorCode.WrongState, "This host has no certificate.", "Run 'godwit host init' to set up an authority, or 'godwit host join' to join another host's.");

    /// <summary>Makes an authority and the host's own certificate.</summary>
    /// <param name="names">What it is to be for; null for what this computer is called and reached by.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.AlreadyExists"/>: it has one.</exception>
    public CertificateStatus Initialize(IReadOnlyList<string>? names)
    {
        var wanted = CertificateNames.Check(names ?? CertificateNames.OfThisComputer());
        lock (_gate)
        {
            if (_current is not null)
            {
                throw new GodwitException(
                    ErrorCode.AlreadyExists, "This host has a certificate already.", "'godwit host renew-certificate' makes a new one.");
            }
            // Killed behind this line, the next call goes on behind it.
            if (!Directory.Exists(_authorityFolder))
            {
                CertificateAuthority.Create(_authorityFolder, HostName(), _time.GetUtcNow());
            }
            Issue(HostName(), wanted);
            return Status();
        }
    }

    /// <summary>Makes a new key and certificate; new connections get it, those there are go on.</summary>
    /// <param name="names">What it is to be for; null for the same as before.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/>: there is no certificate;
    /// <see cref="ErrorCode.Unsupported"/>: the authority is on another host.</exception>
    public CertificateStatus Renew(IReadOnlyList<string>? names)
    {
        lock (_gate)
        {
            var card = Require();
            if (!Directory.Exists(_authorityFolder))
            {
                throw new GodwitException(
                    ErrorCode.Unsupported, "The authority of this host's certificate is on another host.",
                    "Run 'godwit host token' there and 'godwit host join' here: joining again renews.");
            }
            Issue(card.Host, CertificateNames.Check(names ?? CertificateNames.Of(card.Certificate)));
            return Status();
        }
    }

    /// <summary>Signs another host's certificate.</summary>
    /// <returns>In PEM form.</returns>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/>: the authority is not on this host.</exception>
    public string Sign(PublicKey key, string host, IReadOnlyList<string> names)
    {
        RequireAuthority();
        using var authority = CertificateAuthority.Find(_authorityFolder)!;
        using var certificate = authority.Sign(key, host, names, _time.GetUtcNow());
        return certificate.ExportCertificatePem();
    }

    /// <summary>Takes a certificate that another host's authority has signed.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unauthenticated"/>: it is not for our key, or not of that authority.</exception>
    public CertificateStatus Adopt(string certificateText, ECDsa key, X509Certificate2 authority)
    {
        lock (_gate)
        {
            RefuseOwnAuthority();
            try
            {
                using var certificate = X509Certificate2.CreateFromPem(certificateText);
                using var chain = new X509Chain { ChainPolicy = HostIdentityCard.PolicyOf(authority) };
                chain.ChainPolicy.VerificationTime = _time.GetUtcNow().UtcDateTime;
                if (chain.Build(certificate) && certificate.PublicKey.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(key.ExportSubjectPublicKeyInfo()))
                {
                    _folder.Replace(certificate, key, authority);
                    Load();
                    return Status();
                }
            }
            catch (CryptographicException)
            {
                // As good as a wrong one.
            }
            throw new GodwitException(ErrorCode.Unauthenticated, "The other host has sent a certificate that is not of its authority or not for our key.");
        }
    }

    /// <summary>The certificate of a host whose authority is its own.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/>: it is not.</exception>
    public CertificateStatus RequireAuthority() => Directory.Exists(_authorityFolder) ? Status() : throw new GodwitException(
        ErrorCode.WrongState, "The certificate authority is not on this host.", "Ask the host that has it; 'godwit host init' sets up a new one.");

    /// <summary>Refuses what would set the host's own authority aside.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/>.</exception>
    public void RefuseOwnAuthority()
    {
        if (Directory.Exists(_authorityFolder))
        {
            throw new GodwitException(
                ErrorCode.WrongState, "This host has an authority of its own, which other hosts may trust.",
                $"Remove '{_authorityFolder}' first, if none does.");
        }
    }

    /// <summary>The certificate in words.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/>: there is none.</exception>
    public CertificateStatus Status()
    {
        var card = Require();
        return new CertificateStatus(
            card.Host, CertificateNames.Of(card.Certificate), card.Certificate.NotBefore.ToUniversalTime(), card.Certificate.NotAfter.ToUniversalTime(),
            Fingerprint(card.Certificate), Fingerprint(card.Authority), Directory.Exists(_authorityFolder), _folder.Path);
    }

    /// <summary>The SHA-256 of a certificate, as people compare it.</summary>
    public static string Fingerprint(X509Certificate2 certificate) => Convert.ToHexStringLower(certificate.GetCertHash(HashAlgorithmName.SHA256));

    private static string HostName() => CertificateNames.IsHost(Environment.MachineName) ? Environment.MachineName : "host";

    private void Issue(string host, IReadOnlyList<string> names)
    {
        using var authority = CertificateAuthority.Find(_authorityFolder)!;
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = authority.Sign(new PublicKey(key), host, names, _time.GetUtcNow());
        _folder.Replace(certificate, key, authority.Certificate);
        Load();
    }

    private void Load()
    {
        // What was in use before stays as it is for the connections that use it.
        if (_folder.Read() is { } pair)
        {
            _current = new HostIdentityCard(pair.Certificate, pair.Authority);
        }
    }
}

/// <summary>A certificate in use.</summary>
/// <param name="certificate">With its key.</param>
/// <param name="authority">Whom this host trusts to say who another host is.</param>
internal sealed class HostIdentityCard(X509Certificate2 certificate, X509Certificate2 authority)
{
    public X509Certificate2 Certificate => certificate;

    public X509Certificate2 Authority => authority;

    public string Host { get; } = certificate.GetNameInfo(X509NameType.SimpleName, false);

    /// <summary>What a server shows; offline, so that no certificate is fetched from an address that another names.</summary>
    public SslStreamCertificateContext Context { get; } = SslStreamCertificateContext.Create(certificate, [], offline: true);

    /// <summary>How another's certificate is checked: against our authority and nothing else.</summary>
    public X509ChainPolicy NewPolicy() => PolicyOf(authority);

    /// <summary>How a certificate is checked against an authority and nothing else on this computer.</summary>
    public static X509ChainPolicy PolicyOf(X509Certificate2 authority) => new()
    {
        TrustMode = X509ChainTrustMode.CustomRootTrust,
        RevocationMode = X509RevocationMode.NoCheck,
        DisableCertificateDownloads = true,
        CustomTrustStore = { authority },
    };
}
