using System.Globalization;
using System.Text.RegularExpressions;
using Godwit.Benchmarks.Nbd;
using Godwit.Testing;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Disk;

/// <summary>Writes of 4 KiB that each need a new block, by QEMU's own NBD client, on a served VHDX with blocks of 1 MiB.</summary>
/// <param name="godwit">The program as it is shipped.</param>
/// <param name="folder">On the file system to be measured.</param>
/// <param name="size">How much is done.</param>
internal sealed partial class NewBlocks(string godwit, string folder, DiskRunSize size)
{
    private const string Qemu = "qemu-storage-daemon";
    private int _files;
    private string _sockets = "";

    /// <summary>Rates with and without flushes, both servers in turn, and how often each waited for the disk.</summary>
    public async Task<List<NewBlocksMeasurement>> RunAsync(CancellationToken cancellationToken)
    {
        // Not beside the files: the path of a socket has 107 bytes at most.
        using var sockets = new TempFolder();
        _sockets = sockets.Path;
        var results = new List<NewBlocksMeasurement>();
        foreach (var interval in new[] { 0, 1, 16 })
        {
            Dictionary<string, List<double>> rates = new() { ["godwit"] = [], [Qemu] = [] };
            for (var round = 0; round < size.Rounds; round++)
            {
                foreach (var (server, rate) in rates)
                    rate.Add(await MeasureAsync(server, interval, server == Qemu ? size.QemuBlocks : size.GodwitBlocks, null, cancellationToken));
            }

            foreach (var (server, rate) in rates)
            {
                var calls = await CountCallsAsync(server, interval, cancellationToken);
                results.Add(new NewBlocksMeasurement(NameOf(interval), server, rate, size.CountedBlocks, calls));
            }
        }

        return results;
    }

    private static string NameOf(int interval) => interval switch
    {
        0 => "unflushed",
        1 => "flush after every write",
        _ => string.Create(CultureInfo.InvariantCulture, $"flush after {interval} writes"),
    };

    private async Task<int?> CountCallsAsync(string server, int interval, CancellationToken cancellationToken)
    {
        var trace = Path.Combine(folder, "calls.txt");
        try
        {
            await MeasureAsync(server, interval, size.CountedBlocks, trace, cancellationToken);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }

        return File.ReadLines(trace).Count(line => line.Contains("sync(", StringComparison.Ordinal));
    }

    /// <summary>Blocks per second on a new file.</summary>
    private async Task<double> MeasureAsync(string server, int interval, int blocks, string? trace, CancellationToken cancellationToken)
    {
        var file = Path.Combine(folder, $"blocks{++_files}.vhdx");
        var socket = Path.Combine(_sockets, $"{_files}.sock");
        (await ChildProgram.RunAsync(
            "qemu-img", ["create", "-f", "vhdx", "-o", "block_size=1M", file, $"{size.GodwitBlocks}M"], null, cancellationToken)).Succeeded();
        double seconds;
        await using (await StartAsync(server, file, socket, trace, cancellationToken))
        {
            // The first write, with the headers of the session, is not part of it.
            await LoadAsync(socket, 0, 1, 0, cancellationToken);
            if (trace is not null)
                await File.WriteAllTextAsync(trace, "", cancellationToken);
            seconds = await LoadAsync(socket, 1, blocks - 1, interval, cancellationToken);
        }

        File.Delete(file);
        return (blocks - 1) / seconds;
    }

    private Task<ServerProcess> StartAsync(string server, string file, string socket, string? trace, CancellationToken cancellationToken)
    {
        string[] command = server == Qemu
            ?
            [
                Qemu, "--blockdev", $"file,node-name=file,filename={file}", "--blockdev", "vhdx,node-name=disk,file=file",
                "--nbd-server", $"addr.type=unix,addr.path={socket}", "--export", "nbd,id=disk,node-name=disk,name=disk,writable=on",
            ]
            : [godwit, "disk", "serve", file, "--socket", socket, "--name", "disk"];

        // Appending: the file is emptied once the counting is to begin.
        if (trace is not null)
            command = ["strace", "-f", "-A", "-o", trace, "-e", "trace=fdatasync,fsync", .. command];
        return ServerProcess.StartAsync(server, command[0], command[1..], socket, cancellationToken);
    }

    private static async Task<double> LoadAsync(string socket, int from, int blocks, int interval, CancellationToken cancellationToken)
    {
        string[] flushes = interval == 0 ? [] : [$"--flush-interval={interval}"];
        string[] arguments =
        [
            "bench", "-w", "-c", Text(blocks), "-d", interval == 0 ? "16" : Text(interval), "-s", "4096", "-S", "1M", "-o", $"{from}M", .. flushes,
            "--image-opts", $"driver=nbd,server.type=unix,server.path={socket},export=disk",
        ];
        var said = (await ChildProgram.RunAsync("qemu-img", arguments, null, cancellationToken)).Succeeded().Output;
        return double.Parse(Time().Match(said).Groups[1].Value, CultureInfo.InvariantCulture);
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex(@"Run completed in ([\d.]+) seconds")]
    private static partial Regex Time();
}
