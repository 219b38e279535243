using System.Text.RegularExpressions;
using Xunit;

namespace Godwit.ControlPlane.Tests.Promises;

/// <summary>What keeps the code easy to find one's way in, and that no analyzer knows.</summary>
[Trait("Category", "Promises")]
public sealed partial class StyleTests
{
    private const int HardLimit = 400;
    private const int SourceMedian = 120;

    [Fact]
    public void No_source_file_passes_the_hard_limit()
    {
        var tooLong = Sources().Select(file => (file, Lines: Repository.Read(file).Count(c => c == '\n')))
            .Where(entry => entry.Lines > HardLimit).Select(entry => $"{entry.file}: {entry.Lines} lines");
        Assert.Empty(tooLong);
    }

    [Fact]
    public void The_typical_source_file_is_short()
    {
        var lengths = Repository.Files("src", "*.cs").Select(file => Repository.Read(file).Count(c => c == '\n')).Order().ToList();
        Assert.InRange(lengths[lengths.Count / 2], 1, SourceMedian);
    }

    [Fact]
    public void Type_names_say_what_the_type_is()
    {
        var vague = Sources().SelectMany(file => TypeName().Matches(Repository.Read(file))
            .Select(match => match.Groups[1].Value)
            .Where(name => VagueName().IsMatch(name))
            .Select(name => $"{file}: {name}"));
        Assert.Empty(vague);
    }

    [Fact]
    public void Documentation_tags_are_not_empty()
    {
        var empty = Repository.Files("src", "*.cs")
            .Where(file => EmptyTag().IsMatch(Repository.Read(file)));
        Assert.Empty(empty);
    }

    [Fact]
    public void Native_calls_live_in_the_Interop_folders()
    {
        var elsewhere = Repository.Files("src", "*.cs")
            .Where(file => !file.Contains("/Interop/", StringComparison.Ordinal))
            .Where(file => NativeImport().IsMatch(Repository.Read(file)));
        Assert.Empty(elsewhere);
    }

    private static IEnumerable<string> Sources() => Repository.Files("src", "*.cs").Concat(Repository.Files("test", "*.cs"));

    [GeneratedRegex(@"^\s*(?:public|internal|private|protected|file|static|sealed|abstract|readonly|partial|ref|unsafe|\s)*\b(?:class|struct|record|interface|enum)\s+(?:struct\s+|class\s+)?([A-Z]\w*)", RegexOptions.Multiline)]
    private static partial Regex TypeName();

    [GeneratedRegex("(Manager|Helper|Util|Utils|Utilities|Common|Base|Info|Data|Processor)$")]
    private static partial Regex VagueName();

    [GeneratedRegex(@"<(param name=""\w+""|returns|summary|remarks|exception cref=""[^""]+"")>\s*</")]
    private static partial Regex EmptyTag();

    [GeneratedRegex(@"\[(LibraryImport|DllImport)\(")]
    private static partial Regex NativeImport();
}
