using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Godwit.Api;

/// <content>Requests, time limits and what failures become.</content>
public sealed partial class GodwitClient
{
    private static HttpClient CreateHttp(GodwitAddress address, string? token, X509Certificate2Collection? authorities)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ConnectTimeout = TimeSpan.FromSeconds(10),
        };
        if (address.SocketPath is string path)
            handler.ConnectCallback = (_, cancellationToken) => ConnectUnixAsync(path, cancellationToken);
        else
            handler.SslOptions = TlsOf(address, authorities);

        // Time limits differ by request and are set there.
        var http = new HttpClient(handler) { BaseAddress = address.BaseAddress, Timeout = Timeout.InfiniteTimeSpan };
        if (!string.IsNullOrEmpty(token))
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return http;
    }

    private static SslClientAuthenticationOptions TlsOf(GodwitAddress address, X509Certificate2Collection? authorities)
    {
        if (authorities is not { Count: > 0 })
        {
            throw new GodwitException(
                ErrorCode.InvalidRequest, $"whom to trust to say that {address} is the right host is not known",
                "name the host's authority (ca-cert.pem in the folder tls of godwitd's state folder) with --ca or GODWIT_CA");
        }

        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.AddRange(authorities);
        return new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = policy,
            EnabledSslProtocols = SslProtocols.Tls13,
            AllowRenegotiation = false,
            AllowTlsResume = false,
        };
    }

    private static async ValueTask<Stream> ConnectUnixAsync(string path, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static ByteArrayContent ToJson<T>(T value, JsonTypeInfo<T> type)
    {
        var content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(value, type));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return content;
    }

    private async Task<T> SendAsync<T>(
        HttpMethod method, string path, HttpContent? content, JsonTypeInfo<T> type, TimeSpan limit,
        CancellationToken cancellationToken)
    {
        var body = await SendForBytesAsync(method, path, content, limit, cancellationToken).ConfigureAwait(false);
        try
        {
            return JsonSerializer.Deserialize(body, type) ?? throw new JsonException("the answer is null");
        }
        catch (JsonException e)
        {
            throw Misunderstood(e);
        }
    }

    private async Task<byte[]> SendForBytesAsync(
        HttpMethod method, string path, HttpContent? content, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(limit, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        using var request = new HttpRequestMessage(method, path) { Content = content };
        try
        {
            using var response = await _http.SendAsync(request, both.Token).ConfigureAwait(false);
            var body = await response.Content.ReadAsByteArrayAsync(both.Token).ConfigureAwait(false);
            return response.IsSuccessStatusCode ? body : throw new GodwitException(ProblemIn(response.StatusCode, body));
        }
        catch (OperationCanceledException e) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new GodwitException(
                new Problem(
                    ErrorCode.Unavailable,
                    $"godwitd at {Address} did not answer within {limit.TotalSeconds:0} s",
                    "look at its log (journalctl -u godwitd); what was asked may still happen"),
                e);
        }
        catch (HttpRequestException e)
        {
            throw Unreachable(e);
        }
    }

    private GodwitException Unreachable(HttpRequestException cause)
    {
        if (cause.InnerException is AuthenticationException tls)
        {
            return new GodwitException(
                new Problem(
                    ErrorCode.Unauthenticated, $"{Address} does not show that it is the host it should be: {tls.Message}",
                    "check the address, and that the file of --ca or GODWIT_CA is the authority of that host"),
                cause);
        }

        var problem = (cause.InnerException as SocketException)?.SocketErrorCode switch
        {
            SocketError.AccessDenied => new Problem(
                ErrorCode.AccessDenied, $"no permission to talk to godwitd at {Address}",
                "run this as root or as a member of the socket's group"),
            SocketError code => new Problem(
                ErrorCode.Unavailable, $"godwitd is not reachable at {Address} ({Describe(code)})",
                "start it (systemctl start godwitd, or run godwitd), or choose another with --host or GODWIT_HOST"),
            null => new Problem(
                ErrorCode.Unavailable, $"the connection to godwitd at {Address} broke off: {cause.Message}",
                "ask again; if it stays so, look at its log (journalctl -u godwitd)"),
        };
        return new GodwitException(problem, cause);
    }

    // A missing socket file arrives as AddressNotAvailable, whose own words would mislead.
    private static string Describe(SocketError code) => code switch
    {
        SocketError.AddressNotAvailable or SocketError.InvalidArgument => "no such socket",
        SocketError.ConnectionRefused => "nobody listens there",
        SocketError.TimedOut => "no answer in time",
        _ => code.ToString(),
    };

    private GodwitException Misunderstood(JsonException cause) => new(
        new Problem(
            ErrorCode.Internal,
            $"godwitd at {Address} answered something this program does not understand: {cause.Message}",
            "check that both are of the same version: godwit --version, godwit host show"),
        cause);

    private Problem ProblemIn(HttpStatusCode status, byte[] body)
    {
        try
        {
            if (JsonSerializer.Deserialize(body, ApiJson.Default.Problem) is { Title.Length: > 0 } problem)
                return problem;
        }
        catch (JsonException)
        {
            // Not ours (a proxy's page), or a code that only a newer daemon knows: the status has to do.
        }

        return status switch
        {
            HttpStatusCode.Unauthorized => new Problem(
                ErrorCode.Unauthenticated, $"godwitd at {Address} wants a valid token",
                "set GODWIT_TOKEN_FILE to a file with a token that godwit token create has made"),
            HttpStatusCode.Forbidden => new Problem(
                ErrorCode.Forbidden, $"godwitd at {Address} does not allow this", "ask an administrator for a token of a higher role"),
            HttpStatusCode.NotFound => new Problem(
                ErrorCode.NotFound, $"godwitd at {Address} does not know that",
                "check the name, and that both programs are of the same version"),
            _ => new Problem(
                ErrorCode.Internal, $"godwitd at {Address} answered {(int)status}", "look at its log (journalctl -u godwitd)"),
        };
    }
}
