using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Nbd.Remote;
using Godwit.Storage;
using Godwit.Storage.Bitmaps;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Worker.Interop;
using Godwit.Worker.Serving;

namespace Godwit.Worker.Mirrors;

/// <content>Putting a mirror under the guest and taking it away again.</content>
internal sealed partial class DiskMirroring
{
    /// <summary>A copy of a chain's leaf alone would lose its parent, and one of what it reads as would lose its checkpoints.</summary>
    private void CheckSource(string disk)
    {
        if (_sourceImage.Parent is null)
            return;
        throw new GodwitException(
            ErrorCode.Unsupported,
            $"disk {disk} ({_context.Entry.Disk.Path}) is a differencing disk, and a chain cannot be moved while the VM runs yet",
            "stop the VM and merge the chain with \"godwit disk merge\", or convert it into one file with \"godwit disk convert\"");
    }

    private static void CheckTarget(StartMirror request)
    {
        if (request.TargetPath is null || !Path.IsPathRooted(request.TargetPath) || Path.EndsInDirectorySeparator(request.TargetPath))
            throw new GodwitException(ErrorCode.InvalidRequest, $"the target must be the absolute path of a file, not \"{request.TargetPath}\"");
        CheckRate(request.BytesPerSecond);
        foreach (var path in (string[])[request.TargetPath, TargetFiles.Unfinished(request.TargetPath, request.JobId)])
        {
            if (FileStatus.Read(path) is not null)
                throw new GodwitException(ErrorCode.AlreadyExists, $"{path} exists already", "choose another target or remove the file first");
        }
    }

    /// <summary>A bitmap says what differs only if every write since it was made went through a mirror that marked it, and
    /// the kernel that holds those marks is still the same.</summary>
    /// <returns>The bitmap, or null when only a copy from the start is safe.</returns>
    private DirtyBitmap? TryOpenBitmap(WorkerMirrorConfig mirror)
    {
        if (mirror.TargetFile is not { } identity || mirror.BootId != _context.BootId)
            return null;
        if (!FileStatus.Is(mirror.UnfinishedPath, identity))
        {
            throw new GodwitException(
                ErrorCode.NotFound,
                $"the unfinished target {mirror.UnfinishedPath} is gone or was replaced",
                "cancel the job and start it again");
        }

        try
        {
            return DirtyBitmap.Open(_context.BitmapPath, _device.Length);
        }
        catch (StorageException e) when (e.Kind is StorageErrorKind.NotFound or StorageErrorKind.Corrupt)
        {
            // The worker died before the bitmap was whole: nothing had been copied that is worth keeping.
            _context.Log.Warn($"{_context.Name}: {e.Message}");
            return null;
        }
    }

    private async Task StartOverAsync(WorkerMirrorConfig mirror, CancellationToken cancellationToken)
    {
        _context.Log.Note($"{_context.Name}: what was copied for job {mirror.JobId} cannot be trusted; copying again from the start");
        TargetFiles.Delete(_context, mirror with { CreatedFolder = null });
        var fresh = mirror with { TargetFile = null, BootId = _context.BootId };
        _context.Record(fresh);
        await BeginAsync(fresh, cancellationToken).ConfigureAwait(false);
    }

    private async Task BeginAsync(WorkerMirrorConfig mirror, CancellationToken cancellationToken)
    {
        TargetFiles.MakeFolder(mirror.TargetPath, mirror.CreatedFolder);
        FileStatus.Remove(_context.BitmapPath);
        await DiskImage.CreateAsync(
            mirror.UnfinishedPath, _sourceImage.Format, _device.Length, TargetOptions(), cancellationToken).ConfigureAwait(false);
        var created = mirror with { TargetFile = FileStatus.Read(mirror.UnfinishedPath)?.Identity };
        _context.Record(created);
        await AttachAsync(created, DirtyBitmap.Create(_context.BitmapPath, _device.Length), cancellationToken).ConfigureAwait(false);
    }

    private ImageCreateOptions TargetOptions() => new()
    {
        BlockSize = _sourceImage.BlockSize,
        LogicalSectorSize = _sourceImage.LogicalSectorSize,
        PhysicalSectorSize = _sourceImage.PhysicalSectorSize,
        Identifier = _sourceImage.Identifier,
    };

    private async Task AttachAsync(WorkerMirrorConfig mirror, DirtyBitmap bitmap, CancellationToken cancellationToken)
    {
        BlockDevice target;
        try
        {
            // Else the copy would push what other disks have in the page cache out of it.
            var options = new ChainOptions { Format = _sourceImage.Format, BypassCache = true, Cache = _context.Entry.Disk.Cache.ToStorage() };
            _target = await DiskChain.OpenAsync(mirror.UnfinishedPath, options, cancellationToken).ConfigureAwait(false);
            target = _target.Device;
        }
        catch
        {
            bitmap.Dispose();
            throw;
        }

        await PutUnderGuestAsync(
            mirror, new RunningMirror(_device.Current, target, bitmap, mirror.BytesPerSecond, _guests, _context.Time, _fence), cancellationToken).ConfigureAwait(false);
    }

    /// <param name="mirror">The mirror as recorded.</param>
    /// <param name="running">Its parts; closed with its target when it does not fit.</param>
    /// <param name="cancellationToken">Gives up.</param>
    private async Task PutUnderGuestAsync(WorkerMirrorConfig mirror, RunningMirror running, CancellationToken cancellationToken)
    {
        try
        {
            _device.CheckReplacement(running.Target);
            await _device.ReplaceAsync((_, _) => ValueTask.FromResult<BlockDevice>(running.Device), cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await running.DisposeAsync().ConfigureAwait(false);
            await running.Target.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        _running = running;
        running.Start(_context.Log, _context.Name);
        _context.Log.Note($"{_context.Name}: mirroring to {mirror.UnfinishedPath} for job {mirror.JobId}, {running.Device.Bitmap.DirtyBytes} bytes to look at");
    }

    /// <summary>Takes the mirror from under the guest; the source goes on alone.</summary>
    /// <param name="deleteFiles">Removes the target's files; runs before they are closed.</param>
    private async Task DetachAsync(Action deleteFiles)
    {
        if (_running is not { } running)
        {
            deleteFiles();
            return;
        }

        await running.StopAsync().ConfigureAwait(false);
        // From here on the source changes unseen, so the bitmap must be gone before: a worker that found it would trust it.
        _context.RemoveBitmaps();
        await _device.ReplaceAsync((_, _) => ValueTask.FromResult(running.Source), CancellationToken.None).ConfigureAwait(false);
        _last = running.Progress;
        _running = null;
        deleteFiles();
        await CloseTargetAsync(running).ConfigureAwait(false);
    }

    private async Task GiveUpAsync(Problem reason)
    {
        // First, or the status says for a moment that the mirror has failed and not why.
        _failure = reason;
        await DetachAsync(() => { }).ConfigureAwait(false);
        Fail(reason);
    }

    private void Fail(Problem reason)
    {
        _failure = reason;
        _context.Log.Error($"{_context.Name}: the mirror failed, the disk goes on alone: {reason.Title}");
        _context.RemoveBitmaps();
        try
        {
            if (Mirror is { } mirror)
                _context.Record(mirror with { Failure = reason });
        }
        catch (StorageException e)
        {
            // Without the bitmap a later worker copies from the start, which is safe too.
            _context.Log.Warn($"{_context.Name}: the failure could not be recorded: {e.Message}");
        }
    }

    private async Task CloseTargetAsync(RunningMirror running)
    {
        var ours = _fence.TryEnter();
        try
        {
            await running.DisposeAsync().ConfigureAwait(false);

            // Closing an image writes, a VHDX the end of its log. One that is held stays open and untouched until this process ends.
            if (ours || running.Target is RemoteDisk)
                await running.Target.DisposeAsync().ConfigureAwait(false);
        }
        catch (StorageException e)
        {
            _context.Log.Warn($"{_context.Name}: the target was not closed properly: {e.Message}");
        }
        finally
        {
            if (ours)
                _fence.Exit();
        }
    }
}
