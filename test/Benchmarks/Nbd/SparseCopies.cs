using System.Diagnostics;
using Godwit.Benchmarks.Disk;
using Godwit.Testing;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Nbd;

/// <summary>nbdcopy of a large disk with little on it, from each server in turn.</summary>
/// <param name="worker">The worker as it is shipped.</param>
/// <param name="folder">Where the files are.</param>
/// <param name="size">How much is done.</param>
internal sealed class SparseCopies(string worker, string folder, NbdRunSize size)
{
    private const string Null = "null";
    private const string RawFile = "raw file";

    public async Task<List<CopyMeasurement>> RunAsync(CancellationToken cancellationToken)
    {
        await DiskFiles.CreateAsync(folder, "sparse", size.SparseDisk, size.SparseData, cancellationToken);
        var (raw, vhdx, qcow) = (Path.Combine(folder, "sparse.raw"), Path.Combine(folder, "sparse.vhdx"), Path.Combine(folder, "sparse.qcow2"));
        (await ChildProgram.RunAsync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, qcow], null, cancellationToken)).Succeeded();
        File.Delete(Path.Combine(folder, "sparse.vhd"));

        // Not beside the files: the path of a socket has 107 bytes at most.
        using var sockets = new TempFolder();
        await using var godwit = await Servers.GodwitAsync(
            worker, Path.Combine(sockets.Path, "godwit"), true, [new("disk", "vhdx", vhdx)], cancellationToken);
        await using var slow = await Servers.QemuAsync(
            "qsd-vhdx", "threads", Path.Combine(sockets.Path, "v.sock"), true, [new("disk", "vhdx", vhdx)], cancellationToken);
        await using var other = await Servers.QemuAsync(
            "qsd-qcow2", "threads", Path.Combine(sockets.Path, "q.sock"), true, [new("disk", "qcow2", qcow)], cancellationToken);
        List<CopyMeasurement> results = [];
        foreach (var target in new[] { Null, RawFile })
            results.AddRange(await MeasureAsync(target, [godwit, slow, other], cancellationToken));
        (await ChildProgram.RunAsync(
            "qemu-img", ["compare", "-f", "raw", "-F", "raw", raw, CopyOf("godwit")], null, cancellationToken)).Succeeded();
        return results;
    }

    private async Task<List<CopyMeasurement>> MeasureAsync(string target, ServerProcess[] servers, CancellationToken cancellationToken)
    {
        var times = servers.Select(_ => new List<double>()).ToArray();
        var costs = servers.Select(_ => new List<double>()).ToArray();
        for (var round = 0; round < size.Rounds; round++)
        {
            for (var i = 0; i < servers.Length; i++)
            {
                NbdBenchmark.Say($"nbdcopy from {servers[i].Name} to {target}, round {round + 1}");
                var copy = CopyOf(servers[i].Name);
                File.Delete(copy);

                // What earlier copies left to be written back is not this one's to wait for.
                (await ChildProgram.RunAsync("sync", ["-f", folder], null, cancellationToken)).Succeeded();
                var cpu = servers[i].ProcessorTime;
                var started = Stopwatch.GetTimestamp();
                string[] arguments = [$"nbd+unix:///disk?socket={servers[i].Socket}", target == Null ? "null:" : copy];
                (await ChildProgram.RunAsync("nbdcopy", arguments, null, cancellationToken)).Succeeded();
                times[i].Add(Stopwatch.GetElapsedTime(started).TotalSeconds);
                costs[i].Add((servers[i].ProcessorTime - cpu).TotalSeconds);
            }
        }

        return [.. servers.Select((server, i) => new CopyMeasurement(server.Name, target, Middle.Of(times[i]), Middle.Of(costs[i]), times[i]))];
    }

    private string CopyOf(string server) => Path.Combine(folder, $"copy-{server}.raw");
}
