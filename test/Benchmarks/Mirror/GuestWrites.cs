using System.Globalization;
using System.Text.Json;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Mirror;

/// <summary>What a guest would write: 4 KiB at random places, by fio's NBD engine.</summary>
internal static class GuestWrites
{
    /// <summary>Writes for some time.</summary>
    /// <returns>Writes per second.</returns>
    public static async Task<double> RunAsync(string socket, int depth, int milliseconds, CancellationToken cancellationToken)
    {
        string[] arguments =
        [
            "--name=guest", "--ioengine=nbd", $"--uri=nbd+unix:///disk?socket={socket}", "--rw=randwrite", "--bs=4096",
            string.Create(CultureInfo.InvariantCulture, $"--iodepth={depth}"), "--time_based",
            string.Create(CultureInfo.InvariantCulture, $"--runtime={milliseconds}ms"), "--randseed=1", "--norandommap", "--output-format=json",
        ];
        var said = (await ChildProgram.RunAsync("fio", arguments, null, cancellationToken)).Succeeded().Output;
        using var json = JsonDocument.Parse(said[said.IndexOf('{', StringComparison.Ordinal)..]);
        return json.RootElement.GetProperty("jobs")[0].GetProperty("write").GetProperty("iops").GetDouble();
    }
}
