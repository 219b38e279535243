using Godwit.Testing.Hosts;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>Other people's programs, as judges.</summary>
internal static class Tools
{
    /// <summary>Runs a program that must succeed.</summary>
    public static async Task<string> RunAsync(string[] command, CancellationToken ct) =>
        (await ChildProgram.RunAsync(command[0], command[1..], null, ct)).Succeeded().Output;

    /// <summary>The whole content of an image as a raw file, read by QEMU's own code.</summary>
    public static async Task<string> ToRawAsync(string image, CancellationToken ct)
    {
        var raw = image + ".judge";
        var format = image.EndsWith(".vhdx", StringComparison.Ordinal) ? "vhdx" : "raw";
        await RunAsync(["qemu-img", "convert", "-f", format, "-O", "raw", image, raw], ct);
        return raw;
    }
}
