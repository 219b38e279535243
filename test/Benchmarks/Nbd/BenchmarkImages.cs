using System.Globalization;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Nbd;

/// <summary>The disks: same size, same bytes, every block allocated, one file per server.</summary>
internal static class BenchmarkImages
{
    private const int Size = 192 << 20;

    /// <summary>Makes all files but the content of Godwit's VHDX, which goes in through its server.</summary>
    public static async Task CreateAsync(string worker, string folder, CancellationToken cancellationToken)
    {
        var content = new byte[1 << 20];
        var random = new Random(1);
        await using (var file = File.Create(Path.Combine(folder, "godwit.raw")))
        {
            for (var written = 0; written < Size; written += content.Length)
            {
                random.NextBytes(content);
                await file.WriteAsync(content, cancellationToken);
            }
        }

        foreach (var aio in new[] { "threads", "io_uring" })
        {
            File.Copy(Path.Combine(folder, "godwit.raw"), Path.Combine(folder, $"qsd-{aio}.raw"));
            await ConvertAsync(folder, "vhdx", Path.Combine(folder, $"qsd-{aio}.vhdx"), [], cancellationToken);
        }

        string[] create = ["image", "create", Path.Combine(folder, "godwit.vhdx"), "--size", Size.ToString(CultureInfo.InvariantCulture), "--format", "vhdx"];
        (await ChildProgram.RunAsync(worker, create, null, cancellationToken)).Succeeded();
    }

    /// <summary>Fills Godwit's VHDX, which is being served.</summary>
    public static Task FillAsync(string folder, string socket, CancellationToken cancellationToken) =>
        ConvertAsync(folder, "raw", $"nbd:unix:{socket}:exportname=vhdx", ["-n"], cancellationToken);

    private static async Task ConvertAsync(string folder, string format, string target, string[] options, CancellationToken cancellationToken)
    {
        string[] arguments = ["convert", .. options, "-f", "raw", "-O", format, Path.Combine(folder, "godwit.raw"), target];
        (await ChildProgram.RunAsync("qemu-img", arguments, null, cancellationToken)).Succeeded();
    }
}
