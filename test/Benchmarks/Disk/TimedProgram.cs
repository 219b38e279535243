using System.Diagnostics;
using System.Globalization;
using Godwit.Benchmarks.Interop;
using Godwit.Testing.Hosts;

namespace Godwit.Benchmarks.Disk;

/// <summary>Runs whole programs and measures them from outside, one at a time.</summary>
internal static class TimedProgram
{
    /// <summary>Runs one to its end.</summary>
    /// <exception cref="InvalidOperationException">It failed.</exception>
    public static async Task<DiskSample> RunAsync(Contender contender, CancellationToken cancellationToken)
    {
        if (contender.Target is string old)
        {
            File.Delete(old);

            // What earlier runs left to be written back is not this one's to wait for.
            (await ChildProgram.RunAsync("sync", ["-f", Path.GetDirectoryName(old)!], null, cancellationToken)).Succeeded();
        }

        var cpu = ChildrenClock.Read();
        var watch = Stopwatch.StartNew();
        using var process = ChildProgram.Start(contender.Program, contender.Arguments, null, redirect: true);
        var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
        var error = process.StandardError.ReadToEndAsync(cancellationToken);
        var ending = WaitAsync(process, watch, cancellationToken);
        var peak = await WatchMemoryAsync(process.Id, ending);
        var seconds = await ending;
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{contender.Program} {string.Join(' ', contender.Arguments)} ended with {process.ExitCode}\n{await output}\n{await error}");
        return new DiskSample(seconds, Sync(contender.Target), (ChildrenClock.Read() - cpu).TotalSeconds, peak);
    }

    private static async Task<double> WaitAsync(Process process, Stopwatch watch, CancellationToken cancellationToken)
    {
        try
        {
            await process.WaitForExitAsync(cancellationToken);
            return watch.Elapsed.TotalSeconds;
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }
    }

    // The kernel's own high-water mark, so only what grows in the last milliseconds is missed. That of the ended
    // process would be no good: it starts with what this program had when it forked.
    private static async Task<long> WatchMemoryAsync(int processId, Task ending)
    {
        long peak = 0;
        while (!ending.IsCompleted)
        {
            peak = Math.Max(peak, PeakOf(processId));
            await Task.WhenAny(ending, Task.Delay(3));
        }

        return peak;
    }

    private static long PeakOf(int processId)
    {
        try
        {
            var line = File.ReadLines($"/proc/{processId}/status").FirstOrDefault(line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
            return line is null ? 0 : long.Parse(line["VmHWM:".Length..^"kB".Length], CultureInfo.InvariantCulture) * 1024;
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private static double Sync(string? target)
    {
        if (target is null)
            return 0;
        var watch = Stopwatch.StartNew();
        using (var file = new FileStream(target, FileMode.Open, FileAccess.ReadWrite))
            file.Flush(flushToDisk: true);
        return watch.Elapsed.TotalSeconds;
    }
}
