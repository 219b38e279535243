using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Godwit.Api;

namespace Godwit.Host.Certificates;

/// <summary>What another host asks to have signed. It comes from somebody who has shown nothing yet.</summary>
internal static class SigningRequest
{
    private const int Longest = 8 << 10;

    /// <summary>The key of a request, whose owner has proved to have it.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>: no request, not signed by its key, or not a
    /// key of the curve P-256.</exception>
    public static PublicKey KeyOf(string? text)
    {
        try
        {
            if (text is { Length: > 0 and <= Longest })
            {
                // Without its extensions: names come from the token, and nothing else is anybody's wish.
                var request = CertificateRequest.LoadSigningRequestPem(text, HashAlgorithmName.SHA256);
                using var key = request.PublicKey.GetECDsaPublicKey();
                if (key?.ExportParameters(false).Curve.Oid.Value == ECCurve.NamedCurves.nistP256.Oid.Value)
                {
                    return request.PublicKey;
                }
            }
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            // Told below.
        }
        throw new GodwitException(
            ErrorCode.InvalidRequest, "The signing request is not one in PEM form, signed by its own key of the curve P-256.");
    }
}
