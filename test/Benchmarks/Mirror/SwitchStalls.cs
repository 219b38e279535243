using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using Godwit.Nbd;
using Godwit.Storage;

namespace Godwit.Benchmarks.Mirror;

/// <summary>The longest write around each local switchover, as a guest sees it that writes 4 KiB after 4 KiB.</summary>
/// <param name="godwit">The worker; its disk is full of data.</param>
/// <param name="size">How much is done.</param>
internal sealed class SwitchStalls(GodwitMirror godwit, MirrorRunSize size)
{
    private const int Request = 4096;
    private static readonly TimeSpan BetweenWrites = TimeSpan.FromMilliseconds(1);
    private readonly ConcurrentQueue<(long Start, long End)> _writes = new();

    public async Task<StallMeasurement> RunAsync(CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await using var device = await NbdDevice.ConnectAsync(new UnixDomainSocketEndPoint(godwit.Server.Socket), "disk", cancellationToken);
        var writing = WriteAsync(device, stop.Token);
        List<double> stalls = [];
        List<double> usual = [];
        for (var i = 0; i < size.Switches; i++)
        {
            MirrorBenchmark.Say($"switchover {i + 1} of {size.Switches}");
            var (from, to) = await SwitchAsync(writing, cancellationToken);

            // The write that waits may end after the answer to the switch.
            await Task.Delay(20, cancellationToken);
            List<(long Start, long End)> writes = [];
            while (_writes.TryDequeue(out var write))
                writes.Add(write);
            stalls.Add(writes.Where(write => write.End >= from && write.Start <= to).Select(Milliseconds).DefaultIfEmpty().Max());
            usual.AddRange(writes.Where(write => write.End < from || write.Start > to).Select(Milliseconds));
            await godwit.ForgetAsync(cancellationToken);
        }

        await stop.CancelAsync();
        await writing;
        stalls.Sort();
        usual.Sort();
        var p99 = stalls[(int)Math.Ceiling(stalls.Count * 0.99) - 1];
        return new StallMeasurement(size.Switches, stalls[stalls.Count / 2], p99, stalls[^1], usual[usual.Count / 2]);
    }

    /// <summary>Mirrors the disk and switches over.</summary>
    /// <returns>When the switch was asked for, and when it was answered.</returns>
    private async Task<(long From, long To)> SwitchAsync(Task writing, CancellationToken cancellationToken)
    {
        await godwit.StartAsync(cancellationToken);
        while (true)
        {
            if (writing.IsCompleted)
                await writing;
            if (await godwit.IsVerifiedAsync(cancellationToken))
            {
                var from = Stopwatch.GetTimestamp();
                if (await godwit.TrySwitchAsync(cancellationToken))
                    return (from, Stopwatch.GetTimestamp());
            }

            await Task.Delay(5, cancellationToken);
        }
    }

    private async Task WriteAsync(NbdDevice device, CancellationToken cancellationToken)
    {
        var content = new byte[Request];
        var random = new Random(1);
        try
        {
            while (true)
            {
                random.NextBytes(content);
                var start = Stopwatch.GetTimestamp();
                await device.WriteAsync(random.NextInt64(device.Length / Request) * Request, content, WriteFlags.None, CancellationToken.None);
                _writes.Enqueue((start, Stopwatch.GetTimestamp()));
                await Task.Delay(BetweenWrites, cancellationToken);
            }
        }
        catch (OperationCanceledException)
        {
            // Asked for.
        }
    }

    private static double Milliseconds((long Start, long End) write) => Stopwatch.GetElapsedTime(write.Start, write.End).TotalMilliseconds;
}
