using System.Globalization;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Nbd;

/// <summary>The disks: same size, same bytes, every block allocated, one file per server.</summary>
internal static class BenchmarkImages
{
    /// <summary>Makes all files but the content of Godwit's VHDX, which goes in through its server.</summary>
    public static async Task CreateAsync(string worker, string folder, int mebibytes, CancellationToken cancellationToken)
    {
        await FillAsync(Path.Combine(folder, "godwit.raw"), mebibytes, cancellationToken);
        File.Copy(Path.Combine(folder, "godwit.raw"), Path.Combine(folder, "nbdkit.raw"));
        foreach (var aio in new[] { "threads", "io_uring" })
        {
            File.Copy(Path.Combine(folder, "godwit.raw"), Path.Combine(folder, $"qsd-{aio}.raw"));
            await ConvertAsync(folder, "vhdx", Path.Combine(folder, $"qsd-{aio}.vhdx"), [], cancellationToken);
        }

        string[] create = ["image", "create", Path.Combine(folder, "godwit.vhdx"), "--size", ((long)mebibytes << 20).ToString(CultureInfo.InvariantCulture), "--format", "vhdx"];
        (await ChildProgram.RunAsync(worker, create, null, cancellationToken)).Succeeded();
    }

    /// <summary>A file full of bytes that do not repeat.</summary>
    public static async Task FillAsync(string path, int mebibytes, CancellationToken cancellationToken)
    {
        var content = new byte[1 << 20];
        var random = new Random(1);
        await using var file = File.Create(path);
        for (var written = 0; written < mebibytes; written++)
        {
            random.NextBytes(content);
            await file.WriteAsync(content, cancellationToken);
        }
    }

    /// <summary>Fills Godwit's VHDX, which is being served: from the file of a server that locks nothing, as Godwit has locked its own.</summary>
    public static Task FillServedAsync(string folder, string socket, CancellationToken cancellationToken) =>
        ConvertAsync(folder, "raw", $"nbd:unix:{socket}:exportname=vhdx", ["-n"], cancellationToken);

    private static async Task ConvertAsync(string folder, string format, string target, string[] options, CancellationToken cancellationToken)
    {
        string[] arguments = ["convert", .. options, "-f", "raw", "-O", format, Path.Combine(folder, "nbdkit.raw"), target];
        (await ChildProgram.RunAsync("qemu-img", arguments, null, cancellationToken)).Succeeded();
    }
}
