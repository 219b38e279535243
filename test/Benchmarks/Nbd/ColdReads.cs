using Godwit.Testing;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Nbd;

/// <summary>Random reads from a disk that no page cache has: all servers on the same file, for reading only, so that it is
/// in the same place for all.</summary>
/// <param name="worker">The worker as it is shipped.</param>
/// <param name="folder">On the disk to be measured.</param>
/// <param name="size">How much is done.</param>
internal sealed class ColdReads(string worker, string folder, NbdRunSize size)
{
    public async Task<List<Measurement>> RunAsync(CancellationToken cancellationToken)
    {
        var path = Path.Combine(folder, "cold.raw");
        await BenchmarkImages.FillAsync(path, size.ColdDisk, cancellationToken);
        (await ChildProgram.RunAsync("sync", [path], null, cancellationToken)).Succeeded();

        // Not beside the file: the path of a socket has 107 bytes at most.
        using var sockets = new TempFolder();
        ServedFile[] files = [new("raw", "raw", path)];
        await using var godwit = await Servers.GodwitAsync(worker, Path.Combine(sockets.Path, "godwit"), true, files, cancellationToken);
        await using var threads = await Servers.QemuAsync("qsd-threads", "threads", Path.Combine(sockets.Path, "t.sock"), true, files, cancellationToken);
        await using var ring = await Servers.QemuAsync("qsd-io_uring", "io_uring", Path.Combine(sockets.Path, "u.sock"), true, files, cancellationToken);

        // At most an eighth of the places in one run, so that nearly every one is read for the first time.
        var rounds = new LoadRounds(size, maxRequests: size.ColdDisk * 256 / 8, token => DropAsync(path, token));
        return await rounds.MeasureAsync(Load.Cold, [godwit, threads, ring], cancellationToken);
    }

    /// <summary>Takes the file out of the page cache: dd asks for that (POSIX_FADV_DONTNEED) when it is to read nothing.</summary>
    private static async Task DropAsync(string path, CancellationToken cancellationToken) =>
        (await ChildProgram.RunAsync("dd", [$"if={path}", "iflag=nocache", "count=0", "status=none"], null, cancellationToken)).Succeeded();
}
