using System.Xml.Linq;
using Xunit;

namespace Godwit.ControlPlane.Tests.Promises;

/// <summary>References between projects only point down the picture in ARCHITECTURE.md.</summary>
[Trait("Category", "Promises")]
public sealed class ArrowTests
{
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Storage"] = [],
        ["Api"] = [],
        ["Qemu"] = [],
        ["Nbd"] = ["Storage"],
        ["Worker"] = ["Api", "Nbd", "Storage"],
        ["ControlPlane"] = ["Api"],
        ["Host"] = ["Api", "ControlPlane", "Qemu"],
        ["Cli"] = ["Api", "Nbd", "Storage"],
    };

    [Fact]
    public void References_only_point_down()
    {
        foreach (var project in Repository.Files("src", "*.csproj"))
        {
            var name = Path.GetFileNameWithoutExtension(project);
            Assert.True(Allowed.ContainsKey(name), $"{project} is not in the picture: draw it in ARCHITECTURE.md and here");
            var references = XDocument.Parse(Repository.Read(project)).Descendants("ProjectReference")
                .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value));
            Assert.All(references, reference => Assert.True(
                Allowed[name].Contains(reference), $"{name} may not reference {reference}"));
        }
    }

    [Theory]
    [InlineData("Storage", "Microsoft.AspNetCore", "System.Net.Http", "System.Net.Sockets")]
    [InlineData("ControlPlane", "Microsoft.AspNetCore", "System.Net.Http", "System.Net.Sockets")]
    [InlineData("Nbd", "Microsoft.AspNetCore", "System.Net.Http")]
    [InlineData("Worker", "Microsoft.AspNetCore", "System.Net.Http")]
    public void A_project_stays_out_of_what_is_not_its_business(string project, params string[] namespaces)
    {
        foreach (var file in Repository.Files($"src/{project}", "*.cs"))
        {
            foreach (var name in namespaces)
                Assert.False(Repository.Read(file).Contains($"using {name}", StringComparison.Ordinal), $"{file} uses {name}");
        }
    }

    [Fact]
    public void Every_project_is_in_the_solution()
    {
        var solution = Repository.Read("Godwit.slnx");
        foreach (var project in Repository.Files("src", "*.csproj").Concat(Repository.Files("test", "*.csproj")))
            Assert.Contains(project, solution, StringComparison.Ordinal);
    }
}
