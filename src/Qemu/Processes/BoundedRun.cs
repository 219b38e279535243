using System.Text;

namespace Godwit.Qemu.Processes;

/// <summary>How a short run ended.</summary>
/// <param name="ExitCode">The exit status, 128 plus the signal that ended it, or null when its time was up.</param>
/// <param name="Output">The start of what it printed.</param>
internal sealed record BoundedRun(int? ExitCode, string Output)
{
    private const int OutputKept = 16 << 10;

    /// <summary>Runs a program to its end, or kills it when its time is up.</summary>
    /// <param name="program">Absolute path of the program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="scratch">An empty or missing file for its output; removed afterwards.</param>
    /// <param name="limit">How long it may take.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends it early.</param>
    /// <exception cref="QemuException">It cannot be executed.</exception>
    public static async Task<BoundedRun> RunAsync(
        string program, IReadOnlyList<string> arguments, string scratch, TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            using var process = ProcessStarter.Start(program, arguments, scratch);
            var ended = false;
            try
            {
                ended = await process.WaitForExitAsync(limit, time, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                if (!ended)
                    await EndAsync(process, time).ConfigureAwait(false);
            }

            return new BoundedRun(ended ? process.ExitCode : null, ReadStart(scratch));
        }
        finally
        {
            File.Delete(scratch);
        }
    }

    private static async Task EndAsync(OwnedProcess process, TimeProvider time)
    {
        process.Kill();
        await process.WaitForExitAsync(TimeSpan.FromSeconds(5), time, CancellationToken.None).ConfigureAwait(false);
    }

    private static string ReadStart(string path)
    {
        using var file = File.OpenHandle(path);
        var bytes = new byte[OutputKept];
        return Encoding.UTF8.GetString(bytes, 0, RandomAccess.Read(file, bytes, 0));
    }
}
