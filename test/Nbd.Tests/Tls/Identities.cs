using Godwit.Testing;

namespace Godwit.Nbd.Tests.Tls;

/// <summary>Identities out of files, as a program reads them.</summary>
internal static class Identities
{
    public static NbdTlsIdentity Identity(
        this TestAuthority authority, string folder, string name, bool forServer, bool expired = false, TestAuthority? trusting = null)
    {
        authority.WriteFiles(folder, name, forServer, expired, trusting);
        return NbdTlsIdentity.Load(Path.Combine(folder, "cert.pem"), Path.Combine(folder, "key.pem"), Path.Combine(folder, "ca.pem"));
    }
}
