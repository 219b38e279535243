using System.CommandLine;
using Godwit.Cli.Text;

namespace Godwit.Cli.Access;

/// <summary>The commands of the noun "token".</summary>
internal static class TokenCommands
{
    /// <summary>Makes the noun with its verbs.</summary>
    public static Command Create(Shell shell, GlobalOptions global)
    {
        var list = new Verb("list", "Lists the tokens, without their secrets", "godwit token list");
        list.AddJson("Write an array of tokens as JSON");
        list.Does(shell, global, ListAsync);

        var name = NameArgument();
        var remove = new Verb("remove", "Removes a token; its bearer is refused at once", "godwit token remove anna") { name };
        remove.Does(shell, global, async (session, cancellationToken) =>
        {
            await session.Client.RemoveTokenAsync(session.Get(name), cancellationToken);
            session.Talk.Say($"removed token {session.Get(name)}");
            return ExitCode.Ok;
        });
        return new Command("token", "Tokens for people and programs that are not on this computer")
        {
            TokenCreate.Create(shell, global), list, remove,
        };
    }

    /// <summary>The argument that names a token.</summary>
    public static Argument<string> NameArgument() => new("NAME") { Description = "Name of the token" };

    private static async Task<int> ListAsync(Session session, CancellationToken cancellationToken)
    {
        var tokens = await session.Client.ListTokensAsync(cancellationToken);
        if (session.TryWriteJson(tokens, JsonText.Api.IReadOnlyListAccessToken))
            return ExitCode.Ok;
        if (tokens.Count == 0)
        {
            session.Talk.Say("no tokens; make one with godwit token create");
            return ExitCode.Ok;
        }

        var now = session.Shell.Time.GetUtcNow();
        var table = new Table(session.Paint, "NAME", "ROLE", "CREATED", "EXPIRES", "LAST USED");
        foreach (var token in tokens)
        {
            table.AddColoured(
                token.Expires <= now ? session.Paint.Yellow : null, token.Name, RoleText.Of(token.Role), Clock.Format(token.Created),
                Moment(token.Expires), Moment(token.LastUsed));
        }

        table.Write(session.Shell.Out);
        return ExitCode.Ok;
    }

    private static string Moment(DateTimeOffset? moment) => moment is { } one ? Clock.Format(one) : "never";
}
