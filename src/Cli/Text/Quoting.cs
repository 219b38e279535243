using System.Text.RegularExpressions;

namespace Godwit.Cli.Text;

/// <summary>Words in command lines that are offered for copying.</summary>
internal static partial class Quoting
{
    /// <summary>Quotes a word for a POSIX shell when it needs that.</summary>
    public static string ForShell(string word) =>
        Harmless().IsMatch(word) ? word : $"'{word.Replace("'", @"'\''", StringComparison.Ordinal)}'";

    [GeneratedRegex(@"^[\w./:@%+=-]+$")]
    private static partial Regex Harmless();
}
