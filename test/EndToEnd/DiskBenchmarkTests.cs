using System.Text.Json;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.EndToEnd;

/// <summary>The benchmark of disk operations still works; how quick anything is, is not looked at.</summary>
public sealed class DiskBenchmarkTests
{
    [Fact(Timeout = 120_000)]
    public async Task A_small_run_measures_every_operation_and_stays_in_its_memory()
    {
        using var folder = new TempFolder();
        var report = folder.File("report.json");
        var program = Path.Combine(Checkout.Root, "artifacts", "bin", "Benchmarks", "release", "godwit-bench");
        Assert.True(File.Exists(program), $"{program} is missing: ./dev e2e builds it, or dotnet build test/Benchmarks -c Release");
        string[] arguments =
        [
            "disk", "--small", "--folder", folder.Path, "--report", report,
            "--worker", Path.Combine(HostUnderTest.DefaultPrograms, "godwit-worker"),
        ];
        (await ChildProgram.RunAsync(program, arguments, null, TestContext.Current.CancellationToken)).Succeeded();

        var root = JsonDocument.Parse(await File.ReadAllBytesAsync(report, TestContext.Current.CancellationToken)).RootElement;
        var results = root.GetProperty("results").EnumerateArray().ToList();
        Assert.Equal(16, results.Select(result => result.GetProperty("case").GetString()).Distinct().Count());
        foreach (var result in results)
        {
            Assert.InRange(result.GetProperty("seconds").GetDouble(), 0.0005, 100);
            if (result.GetProperty("program").GetString() == "godwit")
                Assert.InRange(result.GetProperty("peakBytes").GetInt64(), 1, 64 << 20);
        }

        foreach (var load in root.GetProperty("newBlocks").EnumerateArray().Where(load => load.GetProperty("server").GetString() == "godwit"))
        {
            // One flush each, and one for the log's ring now and then; without strace nothing is counted.
            var flushes = load.GetProperty("load").GetString() switch { "unflushed" => 0, "flush after every write" => 32, _ => 2 };
            if (load.GetProperty("syncCalls").ValueKind == JsonValueKind.Number)
                Assert.InRange(load.GetProperty("syncCalls").GetInt32(), 0, flushes + 2);
        }

        Assert.Empty(Directory.EnumerateDirectories(folder.Path));
    }
}
