using System.Globalization;
using System.Text.RegularExpressions;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Nbd;

/// <summary>One kind of work, done by QEMU's own NBD client.</summary>
/// <param name="Name">How it is called in the report.</param>
/// <param name="Format">Export to use: "raw" or "vhdx".</param>
/// <param name="Bytes">Bytes of one request.</param>
/// <param name="Depth">Requests in flight.</param>
/// <param name="Writes">Write instead of read.</param>
/// <param name="Random">Random places, through fio's NBD engine instead of QEMU's client.</param>
internal sealed partial record Load(string Name, string Format, int Bytes, int Depth, bool Writes, bool Random = false)
{
    private const int Kilobyte4 = 4096;
    private const int Megabyte = 1 << 20;

    /// <summary>Everything that is measured.</summary>
    public static IReadOnlyList<Load> All { get; } =
    [
        new("read4k_d1", "raw", Kilobyte4, 1, false),
        new("read4k_d16", "raw", Kilobyte4, 16, false),
        new("write4k_d1", "raw", Kilobyte4, 1, true),
        new("write4k_d16", "raw", Kilobyte4, 16, true),
        new("read1m_d1", "raw", Megabyte, 1, false),
        new("read1m_d16", "raw", Megabyte, 16, false),
        new("write1m_d1", "raw", Megabyte, 1, true),
        new("write1m_d16", "raw", Megabyte, 16, true),
        new("vhdx_read4k_d1", "vhdx", Kilobyte4, 1, false),
        new("vhdx_read4k_d16", "vhdx", Kilobyte4, 16, false),
        new("vhdx_write4k_d16", "vhdx", Kilobyte4, 16, true),
        new("vhdx_read1m_d16", "vhdx", Megabyte, 16, false),
        new("vhdx_write1m_d16", "vhdx", Megabyte, 16, true),
        new("fio_randread4k_d16", "raw", Kilobyte4, 16, false, Random: true),
    ];

    /// <summary>Reads at random places that no page cache has.</summary>
    public static Load Cold { get; } = new("cold_randread4k_d32", "raw", Kilobyte4, 32, false, Random: true);

    /// <summary>A number of requests that is quick on any server: to warm up, and to guess the rate from.</summary>
    public int TrialRequests => Bytes == Megabyte ? 150 : 4000;

    /// <summary>Does that many requests.</summary>
    /// <returns>How long the requests took, the client's start and end left out.</returns>
    public async Task<TimeSpan> RunAsync(string socket, int requests, CancellationToken cancellationToken)
    {
        var result = await ChildProgram.RunAsync(
            Random ? "fio" : "qemu-img", Random ? FioArguments(socket, requests) : QemuArguments(socket, requests), null, cancellationToken);
        var said = result.Succeeded().Output;
        var match = Random ? FioTime().Match(said) : QemuTime().Match(said);
        if (!match.Success)
            throw new InvalidOperationException($"no time in what the client said: {said}");
        var value = double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);
        return Random ? TimeSpan.FromMilliseconds(value) : TimeSpan.FromSeconds(value);
    }

    private string[] QemuArguments(string socket, int requests) =>
    [
        "bench", "-c", Text(requests), "-d", Text(Depth), "-s", Text(Bytes), .. Writes ? ["-w"] : Array.Empty<string>(),
        "--image-opts", $"driver=nbd,server.type=unix,server.path={socket},export={Format}",
    ];

    private string[] FioArguments(string socket, int requests) =>
    [
        "--name=load", "--ioengine=nbd", $"--uri=nbd+unix:///{Format}?socket={socket}", "--rw=randread", $"--bs={Bytes}", $"--iodepth={Depth}",
        $"--io_size={(long)requests * Bytes}", "--randseed=1", "--norandommap", "--output-format=json",
    ];

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex(@"Run completed in ([\d.]+) seconds")]
    private static partial Regex QemuTime();

    [GeneratedRegex("\"job_runtime\"\\s*:\\s*(\\d+)")]
    private static partial Regex FioTime();
}
