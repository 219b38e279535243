using System.CommandLine;
using Godwit.Api.Hosts;
using Godwit.Cli.Text;

namespace Godwit.Cli.Hosts;

/// <summary>godwit host init and godwit host renew-certificate</summary>
internal static class HostCertificate
{
    /// <summary>Makes "init".</summary>
    public static Verb CreateInit(Shell shell, GlobalOptions global) => Create(
        shell, global, "init", "Sets up a certificate authority and the host's certificate, for --listen and for other hosts",
        "what this computer is called and reached by", (session, spec, token) => session.Client.CreateAuthorityAsync(spec, token));

    /// <summary>Makes "renew-certificate".</summary>
    public static Verb CreateRenew(Shell shell, GlobalOptions global) => Create(
        shell, global, "renew-certificate", "Makes a new key and certificate for the host; connections go on",
        "those of the old one", (session, spec, token) => session.Client.RenewCertificateAsync(spec, token));

    /// <summary>Shows a certificate.</summary>
    public static void Write(Session session, CertificateStatus certificate)
    {
        var fields = new FieldList(session.Paint);
        fields.Add("Host", certificate.Host);
        fields.Add("Names", string.Join(", ", certificate.Names));
        fields.Add("Good until", Clock.Format(certificate.NotAfter));
        fields.Add("Fingerprint", certificate.Fingerprint);
        fields.Add("Authority", $"{certificate.AuthorityFingerprint}{(certificate.IsAuthority ? " (this host)" : "")}");
        fields.Add("Files", certificate.Folder);
        fields.Write(session.Shell.Out);
    }

    private static Verb Create(
        Shell shell, GlobalOptions global, string word, string description, string otherwise,
        Func<Session, CertificateSpec, CancellationToken, Task<CertificateStatus>> ask)
    {
        var names = new Option<string[]>("--name")
        {
            Description = $"DNS name or address it is for, repeatable; {otherwise} when not given",
            HelpName = "NAME",
        };
        var verb = new Verb(word, description, $"godwit host {word}") { names };
        verb.AddJson("Write the certificate as JSON");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var certificate = await ask(session, new CertificateSpec(session.Get(names) is { Length: > 0 } given ? given : null), cancellationToken);
            if (!session.TryWriteJson(certificate, JsonText.Api.CertificateStatus))
                Write(session, certificate);
            return ExitCode.Ok;
        });
        return verb;
    }
}
