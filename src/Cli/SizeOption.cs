using System.CommandLine;
using Godwit.Cli.Text;

namespace Godwit.Cli;

/// <summary>Options whose value is a size.</summary>
internal static class SizeOption
{
    /// <summary>Makes one; null when it was not given.</summary>
    public static Option<long?> Create(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "SIZE",
        CustomParser = result =>
        {
            var text = result.Tokens[0].Value;
            if (ByteSize.TryParse(text, out var bytes) && bytes > 0)
                return bytes;
            result.AddError($"{name}: \"{text}\" is not a size: {ByteSize.Accepted}");
            return null;
        },
    };
}
