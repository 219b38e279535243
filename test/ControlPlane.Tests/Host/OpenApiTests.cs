using System.Text.Encodings.Web;
using System.Text.Json;
using Godwit.ControlPlane.Tests.Promises;
using Xunit;

namespace Godwit.ControlPlane.Tests.Host;

/// <summary>docs/reference/openapi.json is what godwitd says of itself.</summary>
public sealed class OpenApiTests
{
    private const string Page = "docs/reference/openapi.json";
    private const string Update = "GODWIT_UPDATE_OPENAPI";

    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    [Fact(Timeout = 30_000)]
    public async Task The_document_in_the_reference_is_the_one_that_is_served()
    {
        await using var host = await RestHost.StartAsync();
        var (status, served) = await host.GetAsync("/openapi/v1.json");
        Assert.Equal(200, status);
        Assert.StartsWith("3.1.", served.GetProperty("openapi").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("of nobody", served.GetRawText(), StringComparison.Ordinal);
        var text = JsonSerializer.Serialize(served, Readable) + "\n";
        var path = Path.Combine(Repository.Root, Page);
        if (Environment.GetEnvironmentVariable(Update) == "1")
            await File.WriteAllTextAsync(path, text, TestContext.Current.CancellationToken);
        var stored = File.Exists(path) ? Repository.Read(Page) : "";
        Assert.True(
            text == stored,
            $"{Page} differs from what godwitd serves, first at line {FirstDifference(text, stored)}. If the change is meant (fields are only ever added, ADR 0007), "
            + $"run this test once with {Update}=1 and commit the file.");
    }

    private static int FirstDifference(string served, string stored)
    {
        var pairs = served.Split('\n').Zip(stored.Split('\n')).ToList();
        var first = pairs.FindIndex(pair => pair.First != pair.Second);
        return first < 0 ? pairs.Count : first + 1;
    }
}
