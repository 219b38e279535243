namespace Godwit.Cli.Text;

/// <summary>Text from elsewhere made harmless: an escape sequence in a file name must not reach a terminal.</summary>
internal static class Printable
{
    /// <summary>Replaces control characters by '?'.</summary>
    public static string From(string text)
    {
        foreach (var character in text)
        {
            if (char.IsControl(character))
                return string.Create(text.Length, text, Replace);
        }

        return text;
    }

    private static void Replace(Span<char> target, string text)
    {
        for (var i = 0; i < target.Length; i++)
            target[i] = char.IsControl(text[i]) ? '?' : text[i];
    }
}
