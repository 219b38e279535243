using System.CommandLine;
using Godwit.Api.Access;
using Godwit.Cli.Text;

namespace Godwit.Cli.Access;

/// <summary>godwit token create</summary>
internal sealed class TokenCreate
{
    private readonly Argument<string> _name = TokenCommands.NameArgument();
    private readonly Option<string> _role = new("--role") { Description = $"What its bearer may do: {string.Join(", ", RoleText.Words)}", HelpName = "ROLE", Required = true };
    private readonly Option<string> _expires = new("--expires")
    {
        Description = "How long it is good: 30d, 12h, 90m, or never; 90d when not given",
        HelpName = "TIME",
        DefaultValueFactory = _ => "90d",
    };

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var create = new TokenCreate();
        create._role.CompletionSources.Add(RoleText.Words);
        var verb = new Verb(
            "create", "Makes a token and writes its secret, this once: only a hash of it is stored",
            "godwit token create anna --role viewer --expires 30d")
        {
            create._name, create._role, create._expires,
        };
        verb.AddJson("Write the token and its secret as JSON");
        verb.Does(shell, global, create.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var spec = new AccessTokenSpec(session.Get(_name), RoleText.Parse(session.Get(_role)!), Lifetime.Parse(session.Get(_expires)!));
        if (!AccessTokenSpec.IsName(spec.Name))
            throw new UsageException("a token's name has 1 to 64 letters, digits, dots, underscores and hyphens");
        var made = await session.Client.CreateTokenAsync(spec, cancellationToken);
        if (session.TryWriteJson(made, JsonText.Api.NewAccessToken))
            return ExitCode.Ok;
        session.Shell.Out.WriteLine(made.Secret);
        var until = made.Token.Expires is { } expires ? $"until {Clock.Format(expires)}" : "for ever";
        session.Talk.Say($"token {made.Token.Name} is good {until}; keep the line above in a file of mode 0600 and name it in GODWIT_TOKEN_FILE");
        return ExitCode.Ok;
    }
}
