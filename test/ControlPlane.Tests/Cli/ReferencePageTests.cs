using System.CommandLine;
using System.Text.RegularExpressions;
using Godwit.Cli;
using Godwit.ControlPlane.Tests.Promises;
using Xunit;

namespace Godwit.ControlPlane.Tests.Cli;

/// <summary>docs/reference/cli.md and the program name the same commands and options.</summary>
public sealed partial class ReferencePageTests
{
    private static readonly Dictionary<string, string> Sections = ReadSections();

    private static readonly RootCommand Root = CreateRoot();

    [Fact]
    public void The_page_has_every_command_and_no_other() => Assert.Equal(
        Verbs(Root).Select(Verb.PathOf).Order(StringComparer.Ordinal),
        Sections.Keys.Where(heading => heading.StartsWith("godwit ", StringComparison.Ordinal)).Order(StringComparer.Ordinal));

    [Fact]
    public void The_page_has_every_option_and_no_other()
    {
        foreach (var verb in Verbs(Root))
            AssertOptions(verb.Options, Sections[Verb.PathOf(verb)], Verb.PathOf(verb));
        AssertOptions(Root.Options, Sections["Options of every command"], "godwit");
    }

    [Fact]
    public void The_page_has_every_argument_and_the_example_of_the_help()
    {
        foreach (var verb in Verbs(Root))
        {
            var section = Sections[Verb.PathOf(verb)];
            var usage = string.Concat(verb.Arguments.Select(argument => " " + argument.Name));
            Assert.Contains($"`{Verb.PathOf(verb)}{usage}", section, StringComparison.Ordinal);
            Assert.Contains($"Example: `{verb.Example}`", section, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Every_example_is_a_command_line_the_program_takes()
    {
        foreach (var verb in Verbs(Root).Where(verb => verb.Example.StartsWith("godwit ", StringComparison.Ordinal)))
        {
            var parsed = Root.Parse(verb.Example["godwit ".Length..].Split(' '));
            Assert.Empty(parsed.Errors);
            Assert.Same(verb, parsed.CommandResult.Command);
        }
    }

    [Fact]
    public void Every_command_and_option_says_what_it_is()
    {
        Assert.All(Verbs(Root), verb => Assert.False(string.IsNullOrWhiteSpace(verb.Description), Verb.PathOf(verb)));
        Assert.All(Verbs(Root).SelectMany(verb => verb.Options), option => Assert.False(string.IsNullOrWhiteSpace(option.Description), option.Name));
    }

    private static void AssertOptions(IEnumerable<Option> options, string section, string command)
    {
        var inProgram = options.SelectMany(option => option.Aliases.Append(option.Name)).Order(StringComparer.Ordinal);
        var onPage = OptionRow().Matches(section).SelectMany(row => OptionName().Matches(row.Groups[1].Value))
            .Select(name => name.Value).Order(StringComparer.Ordinal);
        Assert.True(
            inProgram.SequenceEqual(onPage),
            $"{command}: the program has {string.Join(" ", inProgram)}, docs/reference/cli.md has {string.Join(" ", onPage)}");
    }

    private static IEnumerable<Verb> Verbs(Command command) =>
        command.Subcommands.SelectMany(Verbs).Concat(command is Verb verb ? [verb] : []);

    private static RootCommand CreateRoot()
    {
        using var run = new CliRun();
        return CommandTree.Create(run.Shell);
    }

    private static Dictionary<string, string> ReadSections()
    {
        var sections = new Dictionary<string, string>();
        foreach (var part in Heading().Split(Repository.Read("docs/reference/cli.md")).Skip(1))
        {
            var end = part.IndexOf('\n', StringComparison.Ordinal);
            sections.Add(part[..end].Trim(), part[end..]);
        }

        return sections;
    }

    [GeneratedRegex("^#{2,3} ", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"^\| (`-[^|]*)\|", RegexOptions.Multiline)]
    private static partial Regex OptionRow();

    [GeneratedRegex("(?<=`)--?[a-z][a-z-]*")]
    private static partial Regex OptionName();
}
