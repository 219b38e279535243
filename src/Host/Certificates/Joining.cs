using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Godwit.Api;
using Godwit.Api.Hosts;

namespace Godwit.Host.Certificates;

/// <summary>Joins another host's authority: gets a certificate from there.</summary>
internal sealed class Joining(HostCertificates certificates)
{
    private const string Path = "/v1/host/join";
    private const int LargestAnswer = 64 << 10;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    /// <summary>Joins. The other host is told from a wrong one by its authority's fingerprint, before it gets to see the token.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.WrongState"/>: this host has an authority of its own;
    /// <see cref="ErrorCode.Unauthenticated"/>: it is not the right host; <see cref="ErrorCode.Unavailable"/>; or what it answered.</exception>
    public async Task<CertificateStatus> JoinAsync(MembershipSpec spec, CancellationToken cancellationToken)
    {
        certificates.RefuseOwnAuthority();
        var address = AddressOf(spec.Address);
        var authority = await FindAuthorityAsync(address, FingerprintOf(spec.AuthorityFingerprint), cancellationToken);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=joining", key, HashAlgorithmName.SHA256).CreateSigningRequestPem();
        using var client = Connect(address, HostIdentityCard.PolicyOf(authority));
        var answer = await SendAsync(
            client, () => client.PostAsJsonAsync(Path, new JoinRequest(spec.Token, request), ApiJson.Default.JoinRequest, cancellationToken),
            ApiJson.Default.JoinAnswer, cancellationToken);
        return certificates.Adopt(answer.Certificate, key, authority);
    }

    private static async Task<X509Certificate2> FindAuthorityAsync(Uri address, byte[] expected, CancellationToken cancellationToken)
    {
        // Nothing secret goes over this connection, and what comes is checked against the fingerprint.
        using var client = Connect(address, null);
        var answer = await SendAsync(client, () => client.GetAsync(Path, cancellationToken), ApiJson.Default.AuthorityCertificate, cancellationToken);
        try
        {
            var authority = X509Certificate2.CreateFromPem(answer.Certificate);
            if (CryptographicOperations.FixedTimeEquals(authority.GetCertHash(HashAlgorithmName.SHA256), expected))
            {
                return authority;
            }
        }
        catch (CryptographicException)
        {
            // No certificate is not the right one either.
        }
        throw new GodwitException(
            ErrorCode.Unauthenticated, $"The authority of {address.Authority} does not have the fingerprint that was given: it is another host, or somebody is in between.",
            "Compare the fingerprint with what 'godwit host token' said there.");
    }

    private static HttpClient Connect(Uri address, X509ChainPolicy? policy)
    {
        var tls = new SslClientAuthenticationOptions { EnabledSslProtocols = SslProtocols.Tls13, AllowTlsResume = false, CertificateChainPolicy = policy };
        if (policy is null)
        {
#pragma warning disable CA5359 // The fingerprint decides, see FindAuthorityAsync.
            tls.RemoteCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
        }
        var handler = new SocketsHttpHandler
        {
            SslOptions = tls,
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ConnectTimeout = TimeSpan.FromSeconds(10),
        };
        return new HttpClient(handler) { BaseAddress = address, Timeout = Limit, MaxResponseContentBufferSize = LargestAnswer };
    }

    private static async Task<T> SendAsync<T>(
        HttpClient client, Func<Task<HttpResponseMessage>> send, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await send();
            var body = await response.Content.ReadAsByteArrayAsync(cancellationToken);
            if (!response.IsSuccessStatusCode)
            {
                throw new GodwitException(
                    JsonSerializer.Deserialize(body, ApiJson.Default.Problem) ?? throw new JsonException("the problem is null"));
            }
            return JsonSerializer.Deserialize(body, type) ?? throw new JsonException("the answer is null");
        }
        catch (Exception e) when (e is HttpRequestException or JsonException
            || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new GodwitException(
                new Problem(
                    ErrorCode.Unavailable, $"{client.BaseAddress?.Authority} does not let this host join: {(e.InnerException ?? e).Message}",
                    "Check address and port, and that godwitd runs there with --listen."),
                e);
        }
    }

    private static Uri AddressOf(string? text) =>
        Uri.TryCreate("https://" + text, UriKind.Absolute, out var address) && address is { PathAndQuery: "/", UserInfo: "", Host.Length: > 0 }
            ? address
            : throw new GodwitException(ErrorCode.InvalidRequest, $"'{text}' is not HOST:PORT.");

    private static byte[] FingerprintOf(string? text)
    {
        var digits = text?.Replace(":", "", StringComparison.Ordinal) ?? "";
        return digits.Length == 2 * SHA256.HashSizeInBytes && digits.All(char.IsAsciiHexDigit) ? Convert.FromHexString(digits) : throw new GodwitException(
            ErrorCode.InvalidRequest, "The authority's fingerprint is 64 hexadecimal digits.", "'godwit host token' on the other host shows it.");
    }
}
