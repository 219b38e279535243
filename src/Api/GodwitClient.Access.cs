using System.Globalization;
using Godwit.Api.Access;
using Godwit.Api.Hosts;

namespace Godwit.Api;

/// <content>Who may do what, and who did.</content>
public sealed partial class GodwitClient
{
    /// <summary>The tokens of people, by name.</summary>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<IReadOnlyList<AccessToken>> ListTokensAsync(CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Get, "v1/tokens", null, ApiJson.Default.IReadOnlyListAccessToken, Quick, cancellationToken);

    /// <summary>Makes a token.</summary>
    /// <param name="spec">What it is to be.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>The token with its secret, which is not to be had again.</returns>
    public Task<NewAccessToken> CreateTokenAsync(AccessTokenSpec spec, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Post, "v1/tokens", ToJson(spec, ApiJson.Default.AccessTokenSpec), ApiJson.Default.NewAccessToken, Quick, cancellationToken);

    /// <summary>Removes a token.</summary>
    /// <param name="name">The token.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task RemoveTokenAsync(string name, CancellationToken cancellationToken) =>
        SendForBytesAsync(HttpMethod.Delete, "v1/tokens/" + Segment(name), null, Quick, cancellationToken);

    /// <summary>The certificate the host shows to others.</summary>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<CertificateStatus> GetCertificateAsync(CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Get, "v1/host/certificate", null, ApiJson.Default.CertificateStatus, Quick, cancellationToken);

    /// <summary>Sets up a certificate authority and the host's own certificate.</summary>
    /// <param name="spec">What it is to be for.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<CertificateStatus> CreateAuthorityAsync(CertificateSpec spec, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Post, "v1/host/authority", ToJson(spec, ApiJson.Default.CertificateSpec), ApiJson.Default.CertificateStatus, Quick, cancellationToken);

    /// <summary>Makes a new key and certificate for the host.</summary>
    /// <param name="spec">What it is to be for.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<CertificateStatus> RenewCertificateAsync(CertificateSpec spec, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Post, "v1/host/certificate", ToJson(spec, ApiJson.Default.CertificateSpec), ApiJson.Default.CertificateStatus, Quick, cancellationToken);

    /// <summary>Makes a token that lets one host join.</summary>
    /// <param name="spec">Which host.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<JoinToken> CreateJoinTokenAsync(JoinTokenSpec spec, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Post, "v1/host/join-tokens", ToJson(spec, ApiJson.Default.JoinTokenSpec), ApiJson.Default.JoinToken, Quick, cancellationToken);

    /// <summary>Lets the host join another host's authority.</summary>
    /// <param name="spec">Which one, and the join token.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<CertificateStatus> JoinAsync(MembershipSpec spec, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Post, "v1/host/membership", ToJson(spec, ApiJson.Default.MembershipSpec), ApiJson.Default.CertificateStatus, Quick, cancellationToken);

    /// <summary>A page of the audit log, newest first.</summary>
    /// <param name="limit">Entries wanted, 1 to 1000.</param>
    /// <param name="after">Only what stands behind this entry; null begins with the newest.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public Task<AuditPage> ReadAuditAsync(int limit, long? after, CancellationToken cancellationToken)
    {
        var path = string.Create(CultureInfo.InvariantCulture, $"v1/audit?limit={limit}");
        if (after is { } number)
            path += string.Create(CultureInfo.InvariantCulture, $"&after={number}");
        return SendAsync(HttpMethod.Get, path, null, ApiJson.Default.AuditPage, Quick, cancellationToken);
    }
}
