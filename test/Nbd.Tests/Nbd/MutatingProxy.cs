using System.Net;
using System.Net.Sockets;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>Stands between a client and an honest server and changes some of what the server says; hangs up once nobody
/// says anything more.</summary>
internal sealed class MutatingProxy : IAsyncDisposable
{
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(60);
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;

    public MutatingProxy(EndPoint server, string path, int seed)
    {
        EndPoint = new UnixDomainSocketEndPoint(path);
        _listener.Bind(EndPoint);
        _listener.Listen(1);
        _running = Task.Run(() => RunAsync(server, new Random(seed)));
    }

    public UnixDomainSocketEndPoint EndPoint { get; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync(EndPoint server, Random random)
    {
        try
        {
            using var client = await _listener.AcceptAsync(_stop.Token);
            using var honest = new Socket(server.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
            await honest.ConnectAsync(server, _stop.Token);
            using var silence = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            silence.CancelAfter(Silence);

            // Most of the structure is in the first bytes and in front of each reply; a third of the places are beyond all.
            var place = random.Next(3) == 0 ? random.Next(310_000) : random.Next(600);
            var forth = CopyAsync(client, honest, null, 0, silence);
            var back = CopyAsync(honest, client, random, place, silence);
            await Task.WhenAny(forth, back);
            await silence.CancelAsync();
            await Task.WhenAll(forth, back);
        }
        catch (Exception ended) when (ended is OperationCanceledException or SocketException)
        {
            // Over: the sockets are closed on the way out.
        }
    }

    private static async Task CopyAsync(Socket from, Socket to, Random? random, int place, CancellationTokenSource silence)
    {
        var bytes = new byte[16 << 10];
        try
        {
            for (int count, seen = 0; (count = await from.ReceiveAsync(bytes, SocketFlags.None, silence.Token)) > 0; seen += count)
            {
                silence.CancelAfter(Silence);
                if (random is not null && place >= seen && place < seen + count)
                    Mutate(bytes.AsSpan(0, count), place - seen, random);
                for (var sent = 0; sent < count;)
                    sent += await to.SendAsync(bytes.AsMemory(sent, count - sent), SocketFlags.None, silence.Token);
            }
        }
        catch (Exception ended) when (ended is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // One side has left, or both are silent.
        }
    }

    private static void Mutate(Span<byte> bytes, int at, Random random)
    {
        switch (random.Next(3))
        {
            case 0:
                bytes[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1:
                bytes[at] = random.Next(2) == 0 ? (byte)255 : (byte)random.Next(256);
                break;
            default:
                random.NextBytes(bytes.Slice(at, Math.Min(random.Next(1, 24), bytes.Length - at)));
                break;
        }
    }
}
