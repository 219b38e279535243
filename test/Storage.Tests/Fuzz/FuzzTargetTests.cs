using Godwit.Fuzz.Engine;
using Godwit.Fuzz.Targets;
using Godwit.Testing;
using Xunit;

namespace Godwit.Storage.Tests.Fuzz;

/// <summary>A short run of every fuzz target but those of NBD (NbdFuzzTests) with a fixed seed, and everything that was ever found. The long runs: ./dev fuzz.</summary>
[Collection(nameof(FuzzTargetTests))]
public sealed class FuzzTargetTests
{
    private const int Executions = 1500;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    public static TheoryData<string> Names() => [.. AllTargets.Create().Select(target => target.Name).Where(name => !name.StartsWith("nbd-", StringComparison.Ordinal))];

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Names))]
    public async Task A_short_run_finds_nothing(string name)
    {
        CoverageMap.Attach();
        using var folder = new TempFolder();
        var loop = new FuzzLoop(Find(name), seed: 1, new FindingFolder(folder.Path, name)) { IsRepeatable = true };
        var result = await loop.RunAsync([], Executions, Limit, TestContext.Current.SendDiagnosticMessage);
        Assert.Empty(result.Findings);
        Assert.True(result.Executions > 100, $"only {result.Executions} executions in {result.Elapsed}");
        Assert.True(result.Corpus > 10, $"only {result.Corpus} inputs showed anything new: is the mutation blind?");
    }

    [Fact(Timeout = 60_000)]
    public async Task Every_input_that_once_found_something_finds_nothing_now()
    {
        CoverageMap.Attach();
        var failed = new List<string>();
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Checkout.Root, "test/Fuzz/Regressions"), "*.txt", SearchOption.AllDirectories))
        {
            var input = FuzzInput.Parse(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
            try
            {
                await Find(Path.GetFileName(Path.GetDirectoryName(file)!)).RunAsync(input, new Signals(new CoverageMap()));
            }
            catch (FuzzFinding finding)
            {
                failed.Add($"{file}: {finding.Message}");
            }
        }

        Assert.Empty(failed);
    }

    [Fact]
    public void Every_target_is_described()
    {
        var page = File.ReadAllText(Path.Combine(Checkout.Root, "docs/design/fuzzing.md"));
        Assert.All(AllTargets.Create(), target => Assert.Contains($"`{target.Name}`", page, StringComparison.Ordinal));
    }

    [Fact]
    public void An_input_reads_back_from_its_text()
    {
        var input = new FuzzInput(2, Seals.Checksums, [FuzzStep.Write(5, [1, 255]), FuzzStep.Copy(1, 2, 3), FuzzStep.Resize(1L << 40)]);
        Assert.Equal(input.ToString(), FuzzInput.Parse($"# a remark\n{input}").ToString());
    }

    private static FuzzTarget Find(string name) => AllTargets.Create().Single(target => target.Name == name);
}
