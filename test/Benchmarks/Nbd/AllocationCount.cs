using System.Net.Sockets;
using Godwit.Nbd;
using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;

namespace Godwit.Benchmarks.Nbd;

/// <summary>Counts what the server allocates per request in steady state. Runs it in this process, on the code the worker is
/// built from, because only here can the runtime be asked.</summary>
internal static class AllocationCount
{
    private static readonly string[] Counted = ["read4k_d16", "write4k_d16", "read1m_d16", "write1m_d16"];

    /// <summary>The worst of 4 KiB and 1 MiB reads and writes.</summary>
    public static async Task<double> RunAsync(string folder, CancellationToken cancellationToken)
    {
        var path = Path.Combine(folder, "count.raw");
        File.Copy(Path.Combine(folder, "qsd-threads.raw"), path);
        var socket = Path.Combine(folder, "count.sock");
        await using var disk = new MeteredDisk(RawDisk.Open(LocalFile.Open(path, readOnly: false)));
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(socket));
        listener.Listen();
        using var stop = new CancellationTokenSource();
        var running = new NbdServer([new NbdExport("raw", disk)], new NbdServerOptions()).RunAsync(listener, stop.Token);
        var worst = 0.0;
        foreach (var load in Load.All.Where(load => Counted.Contains(load.Name)))
        {
            disk.Restart();
            await load.RunAsync(socket, load.TrialRequests * 5, cancellationToken);
            worst = Math.Max(worst, disk.AllocatedPerRequest);
        }

        await stop.CancelAsync();
        await running;
        return worst;
    }

    /// <summary>Notes what the connection's thread has allocated: at the end of the first tenth of the requests, and at the last.</summary>
    private sealed class MeteredDisk(BlockDevice inner) : DelegatingBlockDevice(inner)
    {
        private const int WarmUp = 50;
        private long _requests;
        private long _first;
        private long _last;

        public double AllocatedPerRequest => _requests > WarmUp ? (double)(_last - _first) / (_requests - WarmUp) : double.NaN;

        public void Restart() => _requests = _first = _last = 0;

        protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            Note();
            return base.ReadCoreAsync(offset, buffer, cancellationToken);
        }

        protected override ValueTask WriteCoreAsync(
            long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
        {
            Note();
            return base.WriteCoreAsync(offset, buffer, flags, cancellationToken);
        }

        private void Note()
        {
            _last = GC.GetAllocatedBytesForCurrentThread();
            if (++_requests == WarmUp)
                _first = _last;
        }
    }
}
