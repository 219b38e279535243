using System.Text.Json;

namespace Godwit.Testing.Hosts;

/// <summary>What a program printed and how it ended.</summary>
public sealed record CommandResult(string Command, int ExitCode, string Output, string Error)
{
    /// <summary>The result itself when the program succeeded; else an exception with everything it said.</summary>
    public CommandResult Succeeded() => ExitCode == 0 ? this : throw new InvalidOperationException(ToString());

    /// <summary>Standard output as JSON.</summary>
    public JsonElement Json() => JsonDocument.Parse(Succeeded().Output).RootElement;

    /// <inheritdoc/>
    public override string ToString() => $"`{Command}` ended with {ExitCode}\n{Output}\n{Error}";
}
