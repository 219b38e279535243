using System.Net;
using Godwit.Fuzz.Engine;
using Godwit.Nbd;
using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Fuzz.Nbd;

/// <summary>What our client does in every session: each kind of request, one after the other, whatever becomes of the one before.</summary>
/// <param name="Form">The form of headers it asks for.</param>
/// <param name="Epoch">Above zero: it is a writer of that epoch.</param>
/// <param name="Point">The point whose changes it asks for; null for none.</param>
internal sealed record ClientScript(NbdHeaderForm Form, long Epoch = 0, string? Point = null)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>Runs it. An error of the storage layer is an answer; anything else, and a wait without end, is a defect.</summary>
    /// <returns>Whether the client took the server's word and connected.</returns>
    public async ValueTask<bool> RunAsync(EndPoint server, Signals? signals)
    {
        using var limit = new CancellationTokenSource(Patience);
        var connected = false;
        try
        {
            await using var device = await NbdDevice.ConnectAsync(
                server, SessionScript.DiskName, new NbdClientOptions { BestForm = Form, WriterEpoch = Epoch, ChangesSince = Point }, limit.Token);
            signals?.Note("connected");
            connected = true;
            var bytes = new byte[4096];
            await TryAsync("read", () => device.ReadAsync(0, bytes, limit.Token), signals);
            await TryAsync("write", () => device.WriteAsync(4096, bytes, WriteFlags.None, limit.Token), signals);
            await TryAsync("extents", () => ExtentsAsync(device, limit.Token), signals);
            await TryAsync("changes", () => ChangesAsync(device, limit.Token), signals);
            await TryAsync("trim", () => device.TrimAsync(0, 4096, limit.Token), signals);
            await TryAsync("zeroes", () => device.WriteZeroesAsync(8192, 4096, WriteFlags.None, limit.Token), signals);
            await TryAsync("flush", () => device.FlushAsync(limit.Token), signals);
            await TryAsync("grow", () => GrowAsync(device, limit.Token), signals);
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

        return connected;
    }

    private static async ValueTask GrowAsync(NbdDevice device, CancellationToken cancellationToken)
    {
        var (before, wanted) = (device.Length, device.Length < long.MaxValue - 65536 ? (device.Length & ~0xFFFL) + 65536 : device.Length);
        try
        {
            await device.ResizeAsync(wanted, cancellationToken);
        }
        catch
        {
            CheckLength(device, before);
            throw;
        }

        CheckLength(device, wanted);
    }

    private static void CheckLength(NbdDevice device, long expected)
    {
        if (device.Length != expected)
            throw new FuzzFinding($"the device has {device.Length} bytes after growth that should leave {expected}");
    }

    private static async ValueTask ChangesAsync(NbdDevice device, CancellationToken cancellationToken)
    {
        var end = Math.Min(device.Length, 64 << 10);
        for (var at = 0L; at < end;)
        {
            var run = await device.GetChangesAsync(at, end - at, cancellationToken);
            if (run.Offset != at || run.Length <= 0 || run.Length > end - at || run.Length % device.Capabilities.SectorSize != 0)
                throw new FuzzFinding($"a run of {run.Length} bytes at {run.Offset} where {end - at} at {at} were asked for");
            at = run.End;
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
