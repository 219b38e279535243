using System.Net;
using Godwit.Fuzz.Engine;
using Godwit.Nbd;
using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Fuzz.Nbd;

/// <summary>What our client does in every session: each kind of request, one after the other, whatever becomes of the one before.</summary>
internal static class ClientScript
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>Runs it. An error of the storage layer is an answer; anything else, and a wait without end, is a defect.</summary>
    public static async ValueTask RunAsync(EndPoint server, NbdHeaderForm form, Signals? signals)
    {
        using var limit = new CancellationTokenSource(Patience);
        try
        {
            await using var device = await NbdDevice.ConnectAsync(server, "disk", new NbdClientOptions { BestForm = form }, limit.Token);
            signals?.Note("connected");
            var bytes = new byte[4096];
            await TryAsync("read", () => device.ReadAsync(0, bytes, limit.Token), signals);
            await TryAsync("write", () => device.WriteAsync(4096, bytes, WriteFlags.None, limit.Token), signals);
            await TryAsync("extents", () => ExtentsAsync(device, limit.Token), signals);
            await TryAsync("trim", () => device.TrimAsync(0, 4096, limit.Token), signals);
            await TryAsync("zeroes", () => device.WriteZeroesAsync(8192, 4096, WriteFlags.None, limit.Token), signals);
            await TryAsync("flush", () => device.FlushAsync(limit.Token), signals);
            await TryAsync("read again", () => device.ReadAsync(8192, bytes, limit.Token), signals);
        }
        catch (StorageException e)
        {
            signals?.Note("connect", e);
        }
        catch (OperationCanceledException)
        {
            throw new FuzzFinding("the client waits for a server that has gone");
        }
    }

    private static async ValueTask ExtentsAsync(NbdDevice device, CancellationToken cancellationToken)
    {
        var end = Math.Min(device.Length, 64 << 10);
        for (var at = 0L; at < end;)
        {
            var extent = await device.GetExtentAsync(at, end - at, cancellationToken);
            if (extent.Length <= 0 || extent.Length > end - at)
                throw new FuzzFinding($"an extent of {extent.Length} bytes where {end - at} were asked for");
            at += extent.Length;
        }
    }

    private static async ValueTask TryAsync(string what, Func<ValueTask> request, Signals? signals)
    {
        try
        {
            await request();
            signals?.Note($"{what} done");
        }
        catch (StorageException e)
        {
            signals?.Note(what, e);
        }
    }
}
