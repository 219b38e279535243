using System.CommandLine;

namespace Godwit.Cli;

/// <summary>What is wrong with a command line, in one line.</summary>
internal static class UsageErrors
{
    /// <summary>Puts the first error into words.</summary>
    public static string Explain(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        // The first unknown word explains the errors that follow from it, such as a missing argument.
        if (command.Subcommands.Count > 0 && parsed.UnmatchedTokens.Count > 0)
            return $"\"{parsed.UnmatchedTokens[0]}\" is not a command of {Verb.PathOf(command)}: use {Names(command)}";
        if (command.Subcommands.Count > 0)
            return $"{Verb.PathOf(command)} needs a command: {Names(command)}";
        if (parsed.UnmatchedTokens.Count > 0)
        {
            var token = parsed.UnmatchedTokens[0];
            return token.StartsWith('-')
                ? $"{Verb.PathOf(command)} has no option {token}"
                : $"\"{token}\" is one argument too many for {Verb.PathOf(command)}";
        }

        return Missing(parsed, command) is string missing
            ? $"{Verb.PathOf(command)} needs {missing}"
            : parsed.Errors[0].Message.TrimEnd('.');
    }

    private static string? Missing(ParseResult parsed, Command command)
    {
        foreach (var argument in command.Arguments)
        {
            if (argument.Arity.MinimumNumberOfValues > 0 && parsed.GetResult(argument) is not { Tokens.Count: > 0 })
                return argument.Name;
        }

        var option = command.Options.FirstOrDefault(
            option => option.Required && parsed.GetResult(option) is not { Implicit: false });
        return option is null ? null : $"{option.Name} {option.HelpName}";
    }

    private static string Names(Command command) => string.Join(", ", command.Subcommands.Select(sub => sub.Name));
}
