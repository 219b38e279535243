using Godwit.Testing.Hosts;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>Other people's programs, as judges.</summary>
internal static class Tools
{
    /// <summary>Runs a program that must succeed.</summary>
    public static async Task<string> RunAsync(CancellationToken ct, string program, params string[] arguments) =>
        (await ChildProgram.RunAsync(program, arguments, null, ct)).Succeeded().Output;

    /// <summary>The whole content of an image as a raw file, read by QEMU's own code.</summary>
    public static async Task<string> ToRawAsync(string image, CancellationToken ct)
    {
        var raw = image + ".judge";
        var format = image.EndsWith(".vhdx", StringComparison.Ordinal) ? "vhdx" : "raw";
        await RunAsync(ct, "qemu-img", "convert", "-f", format, "-O", "raw", image, raw);
        return raw;
    }
}
