using System.Diagnostics;

namespace Godwit.Testing.Guest;

/// <summary>The test guest's kernel and initial RAM disk.</summary>
/// <param name="Kernel">Path of the kernel.</param>
/// <param name="Initrd">Path of the initial RAM disk.</param>
public sealed record GuestImage(string Kernel, string Initrd)
{
    /// <summary>Builds it into a folder; at once when it has been built on this machine before.</summary>
    /// <exception cref="InvalidOperationException">The script failed; the message has what it said.</exception>
    public static async Task<GuestImage> BuildAsync(string folder, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        var start = new ProcessStartInfo(Path.Combine(Checkout.Root, "test", "guest", "build-guest.sh"))
        {
            ArgumentList = { folder },
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        using var script = Process.Start(start) ?? throw new InvalidOperationException("build-guest.sh did not start");
        script.StandardInput.Close();
        var said = await script.StandardError.ReadToEndAsync(cancellationToken);
        await script.WaitForExitAsync(cancellationToken);
        return script.ExitCode == 0
            ? new GuestImage(Path.Combine(folder, "vmlinuz"), Path.Combine(folder, "initrd.img"))
            : throw new InvalidOperationException($"build-guest.sh ended with {script.ExitCode}: {said}");
    }

    /// <summary>The kernel command line that lets the guest talk on the first serial port.</summary>
    public static string Append(string settings) => $"console=ttyS0 quiet {settings}".TrimEnd();
}
