using System.Globalization;
using System.Text;

namespace Godwit.Cli.Text;

/// <summary>Choices as words of the command line: StartIfRunning is start-if-running.</summary>
internal static class Kebab
{
    /// <summary>The word for a choice.</summary>
    public static string Of<T>(T choice)
        where T : struct, Enum
    {
        var text = new StringBuilder();
        foreach (var c in choice.ToString())
        {
            if (char.IsAsciiLetterUpper(c) && text.Length > 0)
                text.Append('-');
            text.Append(char.ToLower(c, CultureInfo.InvariantCulture));
        }

        return text.ToString();
    }

    /// <summary>The choice for a word, or null.</summary>
    public static T? Parse<T>(string word)
        where T : struct, Enum
    {
        foreach (var choice in Enum.GetValues<T>())
        {
            if (Of(choice) == word)
                return choice;
        }

        return null;
    }

    /// <summary>All words, for messages.</summary>
    public static string List<T>()
        where T : struct, Enum => string.Join(", ", Enum.GetValues<T>().Select(Of));
}
