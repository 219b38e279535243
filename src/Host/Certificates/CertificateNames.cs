using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Godwit.Api;

namespace Godwit.Host.Certificates;

/// <summary>The DNS names and addresses certificates are for.</summary>
internal static class CertificateNames
{
    private const int Most = 64;

    // An X.509 common name ends here.
    private const int LongestHost = 64;

    /// <summary>What this computer is called and reached by.</summary>
    public static IReadOnlyList<string> OfThisComputer()
    {
        var addresses = NetworkInterface.GetAllNetworkInterfaces()
            .Where(one => one.OperationalStatus == OperationalStatus.Up && one.NetworkInterfaceType != NetworkInterfaceType.Loopback)
            .SelectMany(one => one.GetIPProperties().UnicastAddresses.Select(address => address.Address))
            .Where(address => address.AddressFamily == AddressFamily.InterNetwork || !address.IsIPv6LinkLocal)
            .Select(address => address.ToString());
        return [.. new[] { Environment.MachineName, "localhost", "127.0.0.1", "::1" }.Concat(addresses).Where(IsName).Distinct().Take(Most)];
    }

    /// <summary>Whether a host may be called so in its certificate and in the audit log.</summary>
    public static bool IsHost(string? name) =>
        name is { Length: > 0 and <= LongestHost } && IsDnsName(name) && !IPAddress.TryParse(name, out _);

    /// <summary>Checks names that were asked for.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>.</exception>
    public static IReadOnlyList<string> Check(IReadOnlyList<string> names)
    {
        if (names.Count is 0 or > Most || !names.All(IsName))
        {
            throw new GodwitException(
                ErrorCode.InvalidRequest, $"A certificate is for 1 to {Most} DNS names and addresses, and these are not: {string.Join(", ", names)}");
        }
        return [.. names.Distinct(StringComparer.OrdinalIgnoreCase)];
    }

    /// <summary>The names as a certificate's extension.</summary>
    public static X509Extension ToExtension(IEnumerable<string> names)
    {
        var builder = new SubjectAlternativeNameBuilder();
        foreach (var name in names)
        {
            if (IPAddress.TryParse(name, out var address))
            {
                builder.AddIpAddress(address);
            }
            else
            {
                builder.AddDnsName(name);
            }
        }
        return builder.Build();
    }

    /// <summary>The names a certificate is for.</summary>
    public static IReadOnlyList<string> Of(X509Certificate2 certificate)
    {
        var extension = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().FirstOrDefault();
        return extension is null ? [] : [.. extension.EnumerateDnsNames(), .. extension.EnumerateIPAddresses().Select(address => address.ToString())];
    }

    private static bool IsName(string? name) =>
        name is not null && !name.Contains('%', StringComparison.Ordinal) && (IsDnsName(name) || IPAddress.TryParse(name, out _));

    private static bool IsDnsName(string name) =>
        name.Length is > 0 and <= 253 && name.Split('.').All(label =>
            label.Length is > 0 and <= 63 && label[0] != '-' && label[^1] != '-' && label.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'));
}
