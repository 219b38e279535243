using System.CommandLine;
using Godwit.Api.Hosts;
using Godwit.Cli.Text;

namespace Godwit.Cli.Hosts;

/// <summary>godwit host join</summary>
internal static class HostJoin
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var address = new Argument<string>("ADDRESS") { Description = "HOST:PORT of the host that has the authority" };
        var file = new Option<string?>("--token-file") { Description = "File that holds the join token", HelpName = "FILE", Required = true };
        var fingerprint = new Option<string>("--ca-fingerprint")
        {
            Description = "SHA-256 of the authority, as godwit host token shows it there",
            HelpName = "HEX",
            Required = true,
        };
        var verb = new Verb(
            "join", "Joins another host's authority: this host gets a certificate from there",
            "godwit host join h1.example:7080 --token-file join.token --ca-fingerprint 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")
        {
            address, file, fingerprint,
        };
        verb.AddJson("Write the certificate as JSON");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var spec = new MembershipSpec(session.Get(address), ReadToken(session.GetPath(file)!), session.Get(fingerprint)!);
            var certificate = await session.Client.JoinAsync(spec, cancellationToken);
            if (!session.TryWriteJson(certificate, JsonText.Api.CertificateStatus))
                HostCertificate.Write(session, certificate);
            return ExitCode.Ok;
        });
        return verb;
    }

    private static string ReadToken(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--token-file cannot be read: {e.Message}");
        }
    }
}
