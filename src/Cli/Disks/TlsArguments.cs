using System.CommandLine;
using Godwit.Nbd;

namespace Godwit.Cli.Disks;

/// <summary>The files of an encrypted connection, on a command line: all three or none.</summary>
internal sealed class TlsArguments
{
    private readonly Option<string?> _certificate = File("--tls-cert", "Serve encrypted: the certificate (PEM), and those up to the authority behind it");
    private readonly Option<string?> _key = File("--tls-key", "The certificate's private key (PEM, without a password)");
    private readonly Option<string?> _authority = File("--tls-ca", "The authorities (PEM) whose clients are let in");

    /// <summary>Adds the options.</summary>
    public void AddTo(Verb verb)
    {
        verb.Add(_certificate);
        verb.Add(_key);
        verb.Add(_authority);
    }

    /// <summary>Reads the files; null when none was given.</summary>
    /// <exception cref="UsageException">Some are missing.</exception>
    public NbdTlsIdentity? Read(Session session)
    {
        var (certificate, key, authority) = (session.Get(_certificate), session.Get(_key), session.Get(_authority));
        if (certificate is null && key is null && authority is null)
            return null;
        if (certificate is null || key is null || authority is null)
            throw new UsageException("an encrypted connection needs --tls-cert, --tls-key and --tls-ca");
        return NbdTlsIdentity.Load(
            session.Shell.AbsolutePath(certificate), session.Shell.AbsolutePath(key), session.Shell.AbsolutePath(authority));
    }

    private static Option<string?> File(string name, string description) => new(name) { Description = description, HelpName = "FILE" };
}
