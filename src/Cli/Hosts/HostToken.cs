using System.CommandLine;
using Godwit.Api.Hosts;
using Godwit.Cli.Text;

namespace Godwit.Cli.Hosts;

/// <summary>godwit host token</summary>
internal static class HostToken
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var host = new Argument<string>("HOST") { Description = "Name of the host that is to join" };
        var names = new Option<string[]>("--name")
        {
            Description = "DNS name or address its certificate is to be for, repeatable; HOST when not given",
            HelpName = "NAME",
        };
        var verb = new Verb("token", "Makes a token that lets one other host join, once, within 15 minutes", "godwit host token h2") { host, names };
        verb.AddJson("Write the token and the authority's fingerprint as JSON");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var spec = new JoinTokenSpec(session.Get(host), session.Get(names) is { Length: > 0 } given ? given : null);
            var token = await session.Client.CreateJoinTokenAsync(spec, cancellationToken);
            if (session.TryWriteJson(token, JsonText.Api.JoinToken))
                return ExitCode.Ok;
            session.Shell.Out.WriteLine(token.Secret);
            session.Talk.Say(
                $"good once, until {Clock.Format(token.Expires)}; on {token.Host}, with the line above in a file of mode 0600: "
                + $"godwit host join THIS-HOST:PORT --token-file FILE --ca-fingerprint {token.AuthorityFingerprint}");
            return ExitCode.Ok;
        });
        return verb;
    }
}
