using System.Text.Json;
using Godwit.Testing;
using Godwit.Testing.Hosts;
using Xunit;

namespace Godwit.EndToEnd;

/// <summary>The benchmarks of the data plane still work; how quick anything is, is not looked at.</summary>
public sealed class NbdBenchmarkTests
{
    [Fact(Timeout = 240_000)]
    public async Task A_small_run_measures_every_part_beside_every_peer_and_says_what_it_means_for_each_mark()
    {
        using var folder = new TempFolder();
        var root = await RunAsync("nbd", folder);

        // 9 raw loads on four servers, 5 of VHDX on three; the cold one needs a disk.
        var cold = !root.GetProperty("notes").EnumerateArray().Any(note => note.GetString()!.StartsWith("Cold loads left out", StringComparison.Ordinal));
        var results = root.GetProperty("results").EnumerateArray().ToList();
        Assert.Equal((9 * 4) + (5 * 3) + (cold ? 3 : 0), results.Count);
        Assert.All(results, result => Assert.InRange(result.GetProperty("iops").GetDouble(), 1, 10_000_000));
        var starts = root.GetProperty("starts").EnumerateArray().ToList();
        Assert.Equal(["godwit", "qemu-nbd", "nbdkit"], starts.Select(start => start.GetProperty("server").GetString()));
        Assert.All(starts, start => Assert.InRange(start.GetProperty("milliseconds").GetDouble(), 0.5, 20_000));
        Assert.All(starts, start => Assert.InRange(start.GetProperty("idleBytes").GetInt64(), 1 << 20, 64 << 20));
        Assert.Equal(6, root.GetProperty("copies").GetArrayLength());
        Assert.Equal(20 + (cold ? 2 : 0) + 3 + 4, root.GetProperty("goals").GetArrayLength());
        Assert.Empty(Directory.EnumerateDirectories(folder.Path));
    }

    [Fact(Timeout = 240_000)]
    public async Task A_small_run_mirrors_beside_cp_and_QEMU_and_switches_over()
    {
        using var folder = new TempFolder();
        var root = await RunAsync("mirror", folder);

        var bulk = root.GetProperty("bulk").EnumerateArray().ToList();
        Assert.Equal(["godwit", "qemu", "cp"], bulk.Select(one => one.GetProperty("program").GetString()));
        Assert.All(bulk, one => Assert.InRange(one.GetProperty("bytesPerSecond").GetDouble(), 1000, 1e11));
        var guests = root.GetProperty("guests").EnumerateArray().ToList();
        Assert.Equal(4, guests.Count);
        Assert.All(guests, one => Assert.InRange(one.GetProperty("mirrored").GetDouble(), 1, 10_000_000));
        Assert.Equal(2, root.GetProperty("stall").GetProperty("switches").GetInt32());

        // With two switches of less than a millisecond no write may have been under way at either.
        Assert.True(root.GetProperty("stall").GetProperty("usualMilliseconds").GetDouble() > 0, "no write at all");
        Assert.Equal(7, root.GetProperty("goals").GetArrayLength());
        Assert.Empty(Directory.EnumerateDirectories(folder.Path));
    }

    private static async Task<JsonElement> RunAsync(string verb, TempFolder folder)
    {
        var report = folder.File("report.json");
        var program = Path.Combine(Checkout.Root, "artifacts", "bin", "Benchmarks", "release", "godwit-bench");
        Assert.True(File.Exists(program), $"{program} is missing: ./dev e2e builds it, or dotnet build test/Benchmarks -c Release");
        string[] arguments =
            [verb, "--small", "--folder", folder.Path, "--report", report, "--worker", Path.Combine(HostUnderTest.DefaultPrograms, "godwit-worker")];
        (await ChildProgram.RunAsync(program, arguments, null, TestContext.Current.CancellationToken)).Succeeded();
        return JsonDocument.Parse(await File.ReadAllBytesAsync(report, TestContext.Current.CancellationToken)).RootElement;
    }
}
