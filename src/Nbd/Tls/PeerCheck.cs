using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace Godwit.Nbd.Tls;

/// <summary>Decides about the other side's certificate and remembers why it was refused, in words.</summary>
/// <param name="peer">"client" or "server".</param>
/// <param name="expectedName">The name it has to be for, where one is expected.</param>
internal sealed class PeerCheck(string peer, string? expectedName)
{
    /// <summary>Why the certificate was refused; null when it was not, or was not looked at.</summary>
    public string? Refusal { get; private set; }

    /// <summary>The callback of <see cref="SslStream"/>.</summary>
    public bool Accept(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (errors == SslPolicyErrors.None)
            return true;
        Refusal = (errors & SslPolicyErrors.RemoteCertificateNotAvailable) != 0 || certificate is null
            ? $"the {peer} has shown no certificate; it needs one from an authority that is trusted here"
            : $"the {peer}'s certificate ({certificate.Subject}) {Reason(chain, errors)}";
        return false;
    }

    private string Reason(X509Chain? chain, SslPolicyErrors errors)
    {
        var states = X509ChainStatusFlags.NoError;
        foreach (var state in chain?.ChainStatus ?? [])
            states |= state.Status;
        if ((states & X509ChainStatusFlags.NotTimeValid) != 0)
            return "has expired or is not valid yet";
        if ((states & (X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.NotSignatureValid)) != 0)
            return "does not come from an authority that is trusted here";
        if ((states & X509ChainStatusFlags.NotValidForUsage) != 0)
            return $"is not meant for a {peer}";
        return (errors & SslPolicyErrors.RemoteCertificateNameMismatch) != 0
            ? $"is for another name than {expectedName}"
            : $"is not valid ({states})";
    }
}
