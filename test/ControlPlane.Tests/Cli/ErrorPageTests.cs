using System.Globalization;
using System.Text.RegularExpressions;
using Godwit.Cli;
using Godwit.ControlPlane.Tests.Promises;
using Godwit.Storage;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

/// <summary>docs/reference/errors.md has every kind, with the exit code and the remedy of the program.</summary>
public sealed partial class ErrorPageTests
{
    private static readonly string Page = Repository.Read("docs/reference/errors.md");

    [Fact]
    public void Every_kind_is_in_the_table_and_no_other() => Assert.Equal(
        Enum.GetNames<StorageErrorKind>().Order(StringComparer.Ordinal),
        Row().Matches(Page).Select(row => row.Groups["kind"].Value).Order(StringComparer.Ordinal));

    [Fact]
    public void Exit_codes_and_remedies_are_the_programs()
    {
        foreach (Match row in Row().Matches(Page))
        {
            var problem = Failure.Describe(new StorageException(Enum.Parse<StorageErrorKind>(row.Groups["kind"].Value), "reason"));
            Assert.Equal(
                Failure.ExitCodeFor(problem.Code).ToString(CultureInfo.InvariantCulture), row.Groups["code"].Value);
            if (problem.Remedy is not null)
                Assert.Equal(problem.Remedy, row.Groups["remedy"].Value);
        }
    }

    [Fact]
    public void Every_message_of_the_page_is_one_of_the_programs()
    {
        var sources = string.Concat(Repository.Files("src", "*.cs").Select(Repository.Read));
        var missing = Case().Matches(Page).Select(match => match.Groups["text"].Value)
            .Where(text => !sources.Contains(text, StringComparison.Ordinal) && !text.Contains("4096", StringComparison.Ordinal));
        Assert.Empty(missing);
    }

    [GeneratedRegex(@"^\| `(?<kind>[A-Z]\w+)` \| [^|]+ \| (?<code>\d+) \| (?<remedy>[^|]+) \|$", RegexOptions.Multiline)]
    private static partial Regex Row();

    [GeneratedRegex(@"^\| `(?<text>[^`]+)` \| (`\w+`|\(exit code 1\)) \|", RegexOptions.Multiline)]
    private static partial Regex Case();
}
