namespace Godwit.Cli;

/// <summary>Everything around the program that differs between a terminal, a pipe and a test.</summary>
/// <param name="Out">Data goes here.</param>
/// <param name="Error">Talk, progress and errors go here.</param>
/// <param name="OutIsTerminal">A person reads <paramref name="Out"/> as it comes.</param>
/// <param name="ErrorIsTerminal">A person reads <paramref name="Error"/> as it comes.</param>
/// <param name="Width">Columns of the terminal.</param>
/// <param name="Folder">What relative paths are relative to.</param>
/// <param name="Variable">Looks up an environment variable.</param>
/// <param name="Time">The clock.</param>
/// <param name="Interrupts">^C.</param>
internal sealed record Shell(
    TextWriter Out,
    TextWriter Error,
    bool OutIsTerminal,
    bool ErrorIsTerminal,
    int Width,
    string Folder,
    Func<string, string?> Variable,
    TimeProvider Time,
    Interrupts Interrupts)
{
    /// <summary>Colours are welcome on stdout.</summary>
    public bool ColourOut => OutIsTerminal && ColourWanted;

    /// <summary>Colours are welcome on stderr.</summary>
    public bool ColourError => ErrorIsTerminal && ColourWanted;

    /// <summary>A line on stderr can be drawn over again.</summary>
    public bool CanRedraw => ErrorIsTerminal && !IsDumb;

    // no-color.org: present and not empty, whatever its value.
    private bool ColourWanted => string.IsNullOrEmpty(Variable("NO_COLOR")) && !IsDumb;

    private bool IsDumb => Variable("TERM") == "dumb";

    /// <summary>Makes a path absolute: the daemon has a working folder of its own.</summary>
    public string AbsolutePath(string path) => Path.GetFullPath(path, Folder);
}
