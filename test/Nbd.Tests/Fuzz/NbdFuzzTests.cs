using Godwit.Fuzz.Engine;
using Godwit.Fuzz.Targets;
using Godwit.Testing;
using Xunit;

namespace Godwit.Nbd.Tests.Fuzz;

/// <summary>A short run of the protocol's fuzz targets with a fixed seed. The long runs: ./dev fuzz nbd.</summary>
public sealed class NbdFuzzTests(ITestOutputHelper output)
{
    private const int Executions = 1500;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Theory(Timeout = 120_000)]
    [InlineData("nbd-server")]
    [InlineData("nbd-client")]
    public async Task A_short_run_finds_nothing(string name)
    {
        CoverageMap.Attach();
        using var folder = new TempFolder();
        var target = AllTargets.Create().Single(target => target.Name == name);
        target.SharesProcess = true;
        var loop = new FuzzLoop(target, seed: 1, new FindingFolder(folder.Path, name)) { IsRepeatable = true };
        var result = await loop.RunAsync([], Executions, Limit, TestContext.Current.SendDiagnosticMessage);
        output.WriteLine($"{result.Executions} executions in {result.Elapsed}, {result.Corpus} inputs, slowest {result.Slowest}");
        Assert.Empty(result.Findings);
        Assert.True(result.Executions > 100, $"only {result.Executions} executions in {result.Elapsed}");
        Assert.True(result.Corpus > 10, $"only {result.Corpus} inputs showed anything new: is the mutation blind?");
    }
}
