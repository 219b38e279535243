namespace Godwit.Api.Hosts;

/// <summary>The certificate that a host shows to others.</summary>
/// <param name="Host">The name of the host in the certificate.</param>
/// <param name="Names">DNS names and addresses the certificate is for.</param>
/// <param name="NotBefore">From when on it is good.</param>
/// <param name="NotAfter">Until when it is good.</param>
/// <param name="Fingerprint">SHA-256 of the certificate, in lower-case hexadecimal digits.</param>
/// <param name="AuthorityFingerprint">The same of the authority it comes from.</param>
/// <param name="IsAuthority">The authority's key is on this host, which so can sign for others.</param>
/// <param name="Folder">Where the PEM files are, named as QEMU wants them.</param>
public sealed record CertificateStatus(
    string Host,
    IReadOnlyList<string> Names,
    DateTimeOffset NotBefore,
    DateTimeOffset NotAfter,
    string Fingerprint,
    string AuthorityFingerprint,
    bool IsAuthority,
    string Folder);

/// <summary>A certificate that is wanted.</summary>
/// <param name="Names">DNS names and addresses it is to be for; null for the host's own, or when renewing for those it has.</param>
public sealed record CertificateSpec(IReadOnlyList<string>? Names = null);
