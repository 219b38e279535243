namespace Godwit.Cli.Text;

/// <summary>Colours, or nothing where they are not welcome.</summary>
/// <param name="Enabled">Write escape sequences.</param>
internal readonly record struct Paint(bool Enabled)
{
    /// <summary>Headings.</summary>
    public string Bold(string text) => Wrap("1", text);

    /// <summary>Less important.</summary>
    public string Dim(string text) => Wrap("2", text);

    /// <summary>Failed.</summary>
    public string Red(string text) => Wrap("31", text);

    /// <summary>Running, succeeded.</summary>
    public string Green(string text) => Wrap("32", text);

    /// <summary>Wants attention.</summary>
    public string Yellow(string text) => Wrap("33", text);

    private string Wrap(string code, string text) => Enabled ? $"\e[{code}m{text}\e[0m" : text;
}
