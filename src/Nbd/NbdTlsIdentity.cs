using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Godwit.Nbd.Tls;
using Godwit.Storage;

namespace Godwit.Nbd;

/// <summary>Who this side is over TLS, and whose word it takes for who the other side is. The same for servers and clients:
/// both show a certificate, and both check one.</summary>
public sealed class NbdTlsIdentity : IEncryption, IDisposable
{
    private readonly X509Certificate2Collection _chain;
    private readonly X509Certificate2Collection _authorities;
    private readonly bool _owned;

    /// <summary>Takes certificates that have been loaded; they stay the caller's.</summary>
    /// <param name="certificate">This side's certificate with its private key.</param>
    /// <param name="chain">Certificates between it and the authority; sent along.</param>
    /// <param name="authorities">Roots the other side's certificate must come from; nothing else on this computer counts.</param>
    /// <exception cref="ArgumentException">There is no private key, or no authority.</exception>
    public NbdTlsIdentity(X509Certificate2 certificate, X509Certificate2Collection chain, X509Certificate2Collection authorities)
        : this(certificate, chain, authorities, owned: false)
    {
    }

    private NbdTlsIdentity(
        X509Certificate2 certificate, X509Certificate2Collection chain, X509Certificate2Collection authorities, bool owned)
    {
        if (!certificate.HasPrivateKey)
            throw new ArgumentException("the certificate has no private key", nameof(certificate));
        if (authorities.Count == 0)
            throw new ArgumentException("there is no authority to trust", nameof(authorities));
        Certificate = certificate;
        _chain = chain;
        _authorities = authorities;
        _owned = owned;

        // Offline: no certificate is fetched from an address that another certificate names.
        Context = SslStreamCertificateContext.Create(certificate, chain, offline: true);
    }

    internal X509Certificate2 Certificate { get; }

    internal SslStreamCertificateContext Context { get; }

    /// <summary>Reads PEM files.</summary>
    /// <param name="certificatePath">This side's certificate, and behind it those between it and the authority.</param>
    /// <param name="keyPath">Its private key, without a password.</param>
    /// <param name="authorityPath">One or more authorities to trust.</param>
    /// <exception cref="StorageException">A file is missing, may not be read, or does not hold what it should.</exception>
    public static NbdTlsIdentity Load(string certificatePath, string keyPath, string authorityPath)
    {
        var authorities = PemFiles.Certificates(authorityPath);
        var (certificate, chain) = PemFiles.OwnCertificate(certificatePath, keyPath);
        return new NbdTlsIdentity(certificate, chain, authorities, owned: true);
    }

    (Socket Inner, IDisposable Bridge) IEncryption.Accept(Socket client, TimeSpan lastWords)
    {
        var bridge = TlsBridge.Accept(client, this, lastWords);
        return (bridge.Inner, bridge);
    }

    ValueTask<Stream> IEncryption.ConnectAsync(Socket socket, string serverName, string path, CancellationToken cancellationToken) =>
        ClientTls.ConnectAsync(socket, this, serverName, path, cancellationToken);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_owned)
            return;
        Certificate.Dispose();
        foreach (var certificate in _chain.Concat(_authorities))
            certificate.Dispose();
    }

    /// <summary>How the other side's certificate is checked: against our authorities and nothing else.</summary>
    internal X509ChainPolicy NewPolicy()
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.AddRange(_authorities);
        return policy;
    }
}
