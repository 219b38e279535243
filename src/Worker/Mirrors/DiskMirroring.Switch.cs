using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Mirror;
using Godwit.Worker.Interop;

namespace Godwit.Worker.Mirrors;

/// <content>The switch from source to target, and what comes after it.</content>
internal sealed partial class DiskMirroring
{
    /// <summary>Makes the target serve the guest. Fails without effect, or succeeds for good.</summary>
    internal async Task SwitchAsync(SwitchMirror request)
    {
        if (Mirror is not { } mirror || mirror.JobId != request.JobId)
            throw NoMirror(request.Disk, request.JobId);
        if (mirror.SwitchedFrom is not null)
            return;
        if (mirror.Remote is not null)
        {
            throw new GodwitException(
                ErrorCode.WrongState, $"disk {request.Disk} is mirrored to another host; this worker cannot go on serving it from there",
                "hand it over by moving the VM, or cancel the mirror");
        }

        if (_running is not { Device.State: MirrorDiskState.Verified } running)
        {
            throw new GodwitException(
                ErrorCode.WrongState, $"disk {request.Disk} is not ready to switch: its mirror is {Status()?.State}", "wait until it is verified");
        }

        await WhileOursAsync(() => SwitchAsync(running, mirror)).ConfigureAwait(false);
    }

    private async Task SwitchAsync(RunningMirror running, WorkerMirrorConfig mirror)
    {
        // Once before the gate closes, so that little is left to write while the guest waits.
        await running.Target.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        var asked = _context.Time.GetTimestamp();
        await _device.ReplaceAsync((_, _) => CommitAsync(running, mirror), CancellationToken.None).ConfigureAwait(false);
        var waited = _context.Time.GetElapsedTime(asked);
        _context.Log.Note($"{_context.Name}: switched to {mirror.TargetPath}; requests waited {waited.TotalMilliseconds:F1} ms at most");
        Switched?.Invoke(_target!.At(mirror.TargetPath));
        await LeaveSourceAsync(running).ConfigureAwait(false);
    }

    /// <summary>After a switch: deletes the old source unless it is to stay, and forgets the mirror.</summary>
    internal Task ForgetAsync(ForgetMirror request)
    {
        if (Mirror is not { } mirror || mirror.JobId != request.JobId)
            return Task.CompletedTask;
        if (mirror.SwitchedFrom is not { } source)
        {
            throw new GodwitException(
                ErrorCode.WrongState, $"disk {request.Disk} has not been switched yet", "cancel the mirror to get rid of it");
        }

        return WhileOursAsync(() =>
        {
            if (!request.RetainSource)
                DeleteSource(source, mirror.SourceFile);
            _context.Record(null);
            _last = null;
            return Task.CompletedTask;
        });
    }

    /// <summary>Runs while no request is under way. Everything before the commit point can be undone, nothing after it fails.</summary>
    private async ValueTask<BlockDevice> CommitAsync(RunningMirror running, WorkerMirrorConfig mirror)
    {
        if (running.Device.State != MirrorDiskState.Verified)
            throw new GodwitException(ErrorCode.WrongState, $"the mirror of {_context.Name} fell back to {running.Device.State}", "try again");
        _device.CheckReplacement(running.Target);
        await running.Target.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        // The last moment to look: what follows takes effect.
        await WhileOursAsync(() => Task.CompletedTask).ConfigureAwait(false);
        if (mirror.TargetFile is not { } identity || !FileStatus.Is(mirror.UnfinishedPath, identity))
            throw new GodwitException(ErrorCode.NotFound, $"{mirror.UnfinishedPath} is gone or was replaced", "cancel the job and start it again");
        LocalFolder.RenameWithoutReplacing(mirror.UnfinishedPath, mirror.TargetPath);
        try
        {
            LocalFolder.Sync(Path.GetDirectoryName(mirror.TargetPath)!);
            _context.Config.Update(_context.Name, entry => AfterSwitch(entry, mirror)); // COMMIT POINT
        }
        catch (StorageException e)
        {
            if (!IsCommittedAfterAll(e))
            {
                LocalFolder.RenameWithoutReplacing(mirror.TargetPath, mirror.UnfinishedPath);
                throw;
            }
        }

        return running.Target;
    }

    /// <summary>All else stays: limits, points, cache mode, whether a lease is needed.</summary>
    private static WorkerDiskConfig AfterSwitch(WorkerDiskConfig entry, WorkerMirrorConfig mirror) => entry with
    {
        Disk = entry.Disk with { Path = mirror.TargetPath },
        Mirror = mirror with { SwitchedFrom = entry.Disk.Path, SourceFile = FileStatus.Read(entry.Disk.Path)?.Identity },
    };

    /// <summary>Writing worker.json can fail after the new file is in place; only the file itself knows.</summary>
    private bool IsCommittedAfterAll(StorageException error)
    {
        _context.Log.Warn($"{_context.Name}: worker.json was not written cleanly at the switch: {error.Message}");
        try
        {
            _context.Config.Reload();
        }
        catch (GodwitException e)
        {
            // Serving either side would be a guess. The next worker reads the file and knows.
            _context.Log.Error($"{_context.Name}: cannot tell whether the switch took place ({e.Problem.Title}); starting again");
            Environment.FailFast("the outcome of a switch is unknown");
        }

        if (Mirror?.SwitchedFrom is null)
            return false;
        LocalFolder.Sync(_context.Folders.Config);
        return true;
    }

    private async Task LeaveSourceAsync(RunningMirror running)
    {
        await running.StopAsync().ConfigureAwait(false);
        _last = running.Progress with { State = MirrorState.Switched };
        _running = null;
        await running.DisposeAsync().ConfigureAwait(false);
        try
        {
            _context.RemoveBitmaps();
            await running.Source.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is StorageException or GodwitException)
        {
            _context.Log.Warn($"{_context.Name}: the old file was not closed properly: {e.Message}");
        }
    }

    private void DeleteSource(string source, FileIdentity? identity)
    {
        if (source == _context.Entry.Disk.Path || FileStatus.Read(source) is not { } found)
            return;
        if (!found.IsRegular || identity is null || found.Identity != identity)
        {
            _context.Log.Warn($"{_context.Name}: {source} is not the file that was served before the switch; left in place");
            return;
        }

        FileStatus.Remove(source);
        _context.Log.Note($"{_context.Name}: old file {source} deleted");
    }
}
