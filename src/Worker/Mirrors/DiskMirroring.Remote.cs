using System.Net;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Nbd;
using Godwit.Nbd.Remote;
using Godwit.Storage;
using Godwit.Storage.Bitmaps;
using Godwit.Storage.Mirror;

namespace Godwit.Worker.Mirrors;

/// <content>A mirror whose target is an export of another host.</content>
internal sealed partial class DiskMirroring
{
    /// <summary>More than the links one worker can make: each attempt takes a tenth of a second at least.</summary>
    private const long EpochsPerWorker = 1L << 32;

    private const int MostConnections = 16;

    /// <summary>A link may be cut, and the other host be started again, for so long; the administrator can cancel at any time.</summary>
    private static readonly TimeSpan PatienceWithLinks = TimeSpan.FromHours(24);

    /// <summary>How long a server may take to let us in; the first time somebody waits for it.</summary>
    private static readonly TimeSpan PatienceWithServers = TimeSpan.FromSeconds(10);

    /// <summary>Connects and starts copying; the same job again changes nothing.</summary>
    internal async Task StartRemoteAsync(StartRemoteMirror request)
    {
        if (Mirror is { } existing)
        {
            if (existing.JobId != request.JobId)
                throw OtherJob(request.Disk, existing);
            return;
        }

        CheckSource(request.Disk);
        CheckRemote(request);
        if (WhyHeld() is { } held)
            throw new GodwitException(held);
        var name = $"nbds://{request.Target.Address}:{request.Target.Port}/{request.Target.Export}";
        var mirror = new WorkerMirrorConfig(
            request.JobId, name, name, request.BytesPerSecond, SwitchedFrom: null, _context.BootId, Remote: request.Target, Epoch: 1);
        (_failure, _last) = (null, null);
        _context.Record(mirror);
        try
        {
            // The first time somebody waits for the outcome: an address or certificate that is wrong is said at once.
            var target = await RemoteDisk.ConnectAsync(LinkOf(mirror), CancellationToken.None).ConfigureAwait(false);
            await AttachRemoteAsync(mirror, target, CancellationToken.None).ConfigureAwait(false);
        }
        catch
        {
            _context.Log.Warn($"{_context.Name}: the mirror to {name} could not be started");
            _context.RemoveBitmaps();
            _context.Record(null);
            throw;
        }
    }

    /// <summary>The link may be broken just now, and guests do not wait for it: it is made when it can be. What the target had not flushed is
    /// copied again then.</summary>
    private Task ResumeRemoteAsync(WorkerMirrorConfig recorded, CancellationToken cancellationToken)
    {
        if (recorded.BootId != _context.BootId)
        {
            _context.Log.Note($"{_context.Name}: this host was started anew, so job {recorded.JobId} copies again from the start");
            _context.RemoveBitmaps();
        }

        // Recorded before it is used: no later worker uses these epochs again.
        var mirror = recorded with { Epoch = recorded.Epoch + EpochsPerWorker, BootId = _context.BootId };
        _context.Record(mirror);
        return AttachRemoteAsync(mirror, RemoteDisk.Expect(LinkOf(mirror), _device.Length, _device.Capabilities), cancellationToken);
    }

    private async Task AttachRemoteAsync(WorkerMirrorConfig mirror, RemoteDisk target, CancellationToken cancellationToken)
    {
        RunningMirror running;
        try
        {
            var (bitmap, unflushed) = OpenBitmaps();
            var options = new MirrorOptions { GiveUpAfter = PatienceWithLinks, WaitsForSpace = true, ChunksAtOnce = mirror.Remote!.Connections };
            running = new RunningMirror(_device.Current, target, bitmap, mirror.BytesPerSecond, _guests, _context.Time, _fence, options, unflushed);
        }
        catch
        {
            await target.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        await PutUnderGuestAsync(mirror, running, cancellationToken).ConfigureAwait(false);
    }

    private (DirtyBitmap Bitmap, UnflushedRanges Unflushed) OpenBitmaps()
    {
        try
        {
            var bitmap = DirtyBitmap.Open(_context.BitmapPath, _device.Length);
            try
            {
                return (bitmap, UnflushedRanges.Open(_context.UnflushedPath, _device.Length));
            }
            catch
            {
                bitmap.Dispose();
                throw;
            }
        }
        catch (StorageException e) when (e.Kind is StorageErrorKind.NotFound or StorageErrorKind.Corrupt)
        {
            // One of them was never whole, or is gone: everything differs then, and nothing is worth remembering.
            _context.RemoveBitmaps();
            var unflushed = UnflushedRanges.Create(_context.UnflushedPath, _device.Length);
            return (DirtyBitmap.Create(_context.BitmapPath, _device.Length), unflushed);
        }
    }

    private RemoteDiskOptions LinkOf(WorkerMirrorConfig mirror)
    {
        var (target, tls) = (mirror.Remote!, _context.Folders.Tls);
        return new RemoteDiskOptions(new IPEndPoint(IPAddress.Parse(target.Address), target.Port), target.Export, mirror.Epoch)
        {
            Tls = () => NbdTlsIdentity.Load(Path.Combine(tls, "cert.pem"), Path.Combine(tls, "key.pem"), Path.Combine(tls, "ca.pem")),
            ServerName = target.ServerName,
            Connections = target.Connections,
            ConnectLimit = PatienceWithServers,
            Time = _context.Time,
            OnChange = change => _context.Log.Note($"{_context.Name}: {change}"),
        };
    }

    private static void CheckRemote(StartRemoteMirror request)
    {
        var target = request.Target;
        if (!IPAddress.TryParse(target.Address, out _) || target.Port is < 1 or > ushort.MaxValue)
            throw new GodwitException(ErrorCode.InvalidRequest, $"\"{target.Address}\" with port {target.Port} is not an IP address with a port");
        if (target.Connections is < 1 or > MostConnections)
            throw new GodwitException(ErrorCode.InvalidRequest, $"a link has 1 to {MostConnections} connections, not {target.Connections}");
        CheckRate(request.BytesPerSecond);
    }
}
