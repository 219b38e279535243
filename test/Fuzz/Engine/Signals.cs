using System.Text.RegularExpressions;
using Godwit.Storage;

namespace Godwit.Fuzz.Engine;

/// <summary>What an execution has shown of itself: branches taken in instrumented code, and the errors that came out.</summary>
/// <remarks>Without instrumentation only the errors count: which kind, and which sentence without its numbers.</remarks>
internal sealed partial class Signals(CoverageMap map)
{
    /// <summary>Records that something happened.</summary>
    public void Note(string what)
    {
        // FNV-1a: the same in every run, unlike string.GetHashCode.
        var hash = 2166136261u;
        foreach (var letter in what)
            hash = (hash ^ letter) * 16777619u;
        map.Hit((ushort)(hash ^ (hash >> 16)));
    }

    /// <summary>Records an error of the product.</summary>
    public void Note(string where, StorageException error) => Note($"{where} {error.Kind} {ShapeOf(error.Reason)}");

    /// <summary>A sentence without what comes from the file: numbers and identifiers (words with a digit in them), quoted texts,
    /// the four letters of a VHD parent locator.</summary>
    public static string ShapeOf(string message) => FromTheFile().Replace(message, "#");

    [GeneratedRegex("""[\w-]*\d[\w-]*|"[^"]*"|(?<=parent locator ).{4}(?=[ ,])""", RegexOptions.Singleline)]
    private static partial Regex FromTheFile();
}
