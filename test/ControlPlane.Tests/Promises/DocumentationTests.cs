using System.Text.RegularExpressions;
using Godwit.Storage;
using Xunit;

namespace Godwit.ControlPlane.Tests.Promises;

/// <summary>What the documentation promises about the repository is so.</summary>
[Trait("Category", "Promises")]
public sealed partial class DocumentationTests
{
    [Fact]
    public void Relative_links_resolve()
    {
        var broken = new List<string>();
        foreach (var page in Pages())
        {
            var folder = Path.GetDirectoryName(Path.Combine(Repository.Root, page))!;
            foreach (Match link in Link().Matches(Repository.Read(page)))
            {
                var target = link.Groups[1].Value.Split('#')[0];
                if (target.Length > 0 && !Path.Exists(Path.Combine(folder, target)))
                    broken.Add($"{page}: {target}");
            }
        }

        Assert.Empty(broken);
    }

    [Fact]
    public void Every_option_the_README_shows_is_one_of_its_command()
    {
        var page = Repository.Read("docs/reference/cli.md");
        var shown = Shown().Matches(Repository.Read("README.md")).ToList();
        Assert.True(shown.Count > 10, "the README shows no commands");
        foreach (var line in shown)
        {
            var start = page.IndexOf($"### godwit {line.Groups["command"].Value}\n", StringComparison.Ordinal);
            Assert.True(start >= 0, $"no such command: {line.Value}");
            var end = page.IndexOf("\n## ", start, StringComparison.Ordinal);
            var next = page.IndexOf("\n### ", start, StringComparison.Ordinal);
            var section = page[start..new[] { end, next }.Where(at => at > 0).DefaultIfEmpty(page.Length).Min()];
            Assert.All(
                line.Groups["options"].Value.Split(' ').Where(word => word.StartsWith("--", StringComparison.Ordinal)),
                option => Assert.Contains($"`{option}", section, StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Every_decision_is_listed()
    {
        var index = Repository.Read("docs/adr/README.md");
        Assert.All(Repository.Files("docs/adr", "????-*.md"), file => Assert.Contains(Path.GetFileName(file), index, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_block_device_is_described()
    {
        var page = Repository.Read("docs/design/storage.md");
        var devices = typeof(BlockDevice).Assembly.GetTypes().Where(type => type.IsSubclassOf(typeof(BlockDevice)) && !type.IsAbstract);
        Assert.All(devices, device => Assert.Contains($"`{device.Name}`", page, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_command_of_dev_named_in_a_page_exists()
    {
        var script = Repository.Read("dev");
        var unknown = Pages().SelectMany(page => DevCommand().Matches(Repository.Read(page)).Select(match => match.Groups[1].Value))
            .Distinct().Where(command => !Regex.IsMatch(script, $@"^\s+{command}(\)|\|)", RegexOptions.Multiline));
        Assert.Empty(unknown);
    }

    private static IEnumerable<string> Pages() =>
        Repository.Files("docs", "*.md").Concat(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]);

    [GeneratedRegex(@"\]\((?!https?:|#)([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"\./dev ([a-z0-9]+)")]
    private static partial Regex DevCommand();

    [GeneratedRegex(@"^(?:sudo )?godwit (?<command>(?:disk|vm|job|host) [a-z-]+)(?<options>[^#\n]*)", RegexOptions.Multiline)]
    private static partial Regex Shown();
}
