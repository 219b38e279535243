namespace Godwit.Api;

/// <summary>Where a godwitd listens: a unix socket, or HTTPS.</summary>
public sealed class GodwitAddress
{
    /// <summary>Where godwitd listens unless told otherwise.</summary>
    public const string Default = "unix:/run/godwit/godwitd.sock";

    private const string UnixPrefix = "unix:";

    private GodwitAddress(string text, string? socketPath, Uri baseAddress)
    {
        Text = text;
        SocketPath = socketPath;
        BaseAddress = baseAddress;
    }

    /// <summary>The address as people write it.</summary>
    public string Text { get; }

    /// <summary>The unix socket, or null for HTTPS over TCP.</summary>
    public string? SocketPath { get; }

    /// <summary>The URI that requests are relative to.</summary>
    public Uri BaseAddress { get; }

    /// <summary>Reads an address.</summary>
    /// <param name="text">"unix:PATH" with an absolute path, or "https://HOST:PORT".</param>
    /// <returns>The address.</returns>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>: it is neither.</exception>
    public static GodwitAddress Parse(string text)
    {
        if (text.StartsWith(UnixPrefix, StringComparison.Ordinal))
            return ParseUnix(text);
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.PathAndQuery != "/")
            throw Refused($"\"{text}\" is not an address of godwitd");
        if (uri.Scheme == Uri.UriSchemeHttp)
            throw Refused($"\"{text}\" is plain HTTP, which godwitd does not speak");
        if (uri.Scheme != Uri.UriSchemeHttps || uri.Host.Length == 0 || uri.UserInfo.Length > 0)
            throw Refused($"\"{text}\" is not an address of godwitd");
        return new GodwitAddress(text, null, uri);
    }

    /// <inheritdoc/>
    public override string ToString() => Text;

    private static GodwitAddress ParseUnix(string text)
    {
        var path = text[UnixPrefix.Length..];
        if (!path.StartsWith('/'))
            throw Refused($"the socket in \"{text}\" has no absolute path");
        // sockaddr_un holds 108 bytes with the closing zero; the kernel's own message would not say so.
        if (System.Text.Encoding.UTF8.GetByteCount(path) > 107)
            throw Refused($"the socket path in \"{text}\" is longer than 107 bytes");
        return new GodwitAddress(text, path, new Uri("http://localhost/"));
    }

    private static GodwitException Refused(string title) =>
        new(ErrorCode.InvalidRequest, title, "write unix:/path/to/godwitd.sock or https://HOST:PORT");
}
