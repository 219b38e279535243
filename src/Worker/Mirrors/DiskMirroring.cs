using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage.Chains;
using Godwit.Storage.Decorators;
using Godwit.Storage.Formats;
using Godwit.Storage.Metrics;
using Godwit.Storage.Mirror;
using Godwit.Worker.Control;
using Godwit.Worker.Interop;
using Godwit.Worker.Serving;

namespace Godwit.Worker.Mirrors;

/// <summary>
/// The life of a disk's mirror: start, watch, switch, cancel, forget. worker.json is written before each step, so that the
/// next worker can finish or undo whatever this one was doing when it died.
/// </summary>
/// <remarks>The caller runs one method at a time; only <see cref="Status"/> may be called at any time.</remarks>
internal sealed partial class DiskMirroring
{
    private readonly MirrorContext _context;
    private readonly SwitchableDisk _device;
    private ImageDescription _sourceImage;
    private readonly Func<GuestLoad> _guests;
    private readonly Fence _fence;
    private volatile RunningMirror? _running;
    private DiskChain? _target;
    private Problem? _failure;
    private MirrorProgress? _last;

    /// <summary>Creates it for a disk that has just been opened and does not serve anyone yet.</summary>
    /// <param name="context">What is shared about the disk.</param>
    /// <param name="device">The disk.</param>
    /// <param name="sourceImage">How its image is laid out.</param>
    /// <param name="guests">What guests have asked for so far: copies keep out of their way.</param>
    /// <param name="fence">What the guests' requests pass, and everything that is written here.</param>
    internal DiskMirroring(MirrorContext context, SwitchableDisk device, ImageDescription sourceImage, Func<GuestLoad> guests, Fence fence)
    {
        _context = context;
        _device = device;
        _sourceImage = sourceImage;
        _guests = guests;
        _fence = fence;
    }

    private WorkerMirrorConfig? Mirror => _context.Entry.Mirror;

    /// <summary>Told of the image that serves the guest after a switch.</summary>
    internal Action<DiskChain>? Switched { get; set; }

    /// <summary>Another image serves the guest.</summary>
    internal void Become(ImageDescription sourceImage) => _sourceImage = sourceImage;

    /// <summary>How the mirror stands, if there is one.</summary>
    internal MirrorStatus? Status()
    {
        var running = _running;
        return MirrorReport.Of(Mirror, running?.Progress ?? _last, _failure ?? running?.Problem ?? (running is null ? null : WhyHeld()));
    }

    /// <summary>Carries on with the mirror an earlier worker had started, before the first request is served.</summary>
    /// <remarks>A write that reached the source without the mirror in front would never reach the target, so a mirror that
    /// cannot be taken up again at this moment has failed for good.</remarks>
    internal async Task ResumeAsync(CancellationToken cancellationToken)
    {
        if (Mirror is not { SwitchedFrom: null, Failure: null, Cancelled: false } mirror)
            return;
        try
        {
            if (mirror.Remote is not null)
                await ResumeRemoteAsync(mirror, cancellationToken).ConfigureAwait(false);
            else if (TryOpenBitmap(mirror) is { } bitmap)
                await AttachAsync(mirror, bitmap, cancellationToken).ConfigureAwait(false);
            else
                await StartOverAsync(mirror, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (Problems.TryOf(e) is not null)
        {
            Fail(Problems.TryOf(e)!);
        }
    }

    /// <summary>Creates the target and starts copying; the same job again changes nothing.</summary>
    internal async Task StartAsync(StartMirror request)
    {
        if (Mirror is { } existing)
        {
            if (existing.JobId == request.JobId)
            {
                await ContinueAsync(existing).ConfigureAwait(false);
                return;
            }

            throw OtherJob(request.Disk, existing);
        }

        CheckSource(request.Disk);
        CheckTarget(request);
        await WhileOursAsync(() => StartAnewAsync(request)).ConfigureAwait(false);
    }

    private async Task StartAnewAsync(StartMirror request)
    {
        var mirror = new WorkerMirrorConfig(
            request.JobId,
            request.TargetPath,
            TargetFiles.Unfinished(request.TargetPath, request.JobId),
            request.BytesPerSecond,
            SwitchedFrom: null,
            _context.BootId,
            CreatedFolder: TargetFiles.FirstMissingFolder(request.TargetPath));
        (_failure, _last) = (null, null);
        _context.Record(mirror);
        try
        {
            await BeginAsync(mirror, CancellationToken.None).ConfigureAwait(false);
        }
        catch
        {
            _context.Log.Warn($"{_context.Name}: the mirror to {request.TargetPath} could not be started");
            // The record as it is now: it may know the file by now.
            TargetFiles.Delete(_context, Mirror ?? mirror);
            _context.Record(null);
            throw;
        }
    }

    /// <summary>Changes the rate limit of a mirror that copies.</summary>
    internal Task LimitAsync(LimitMirror request)
    {
        if (Mirror is not { } mirror || mirror.JobId != request.JobId)
            throw NoMirror(request.Disk, request.JobId);
        CheckRate(request.BytesPerSecond);
        _context.Record(mirror with { BytesPerSecond = request.BytesPerSecond });
        _running?.Limit(request.BytesPerSecond);
        return Task.CompletedTask;
    }

    /// <summary>Ends the mirror and deletes the unfinished target. Without a mirror of that job it is already so.</summary>
    internal async Task CancelAsync(CancelMirror request)
    {
        if (Mirror is not { } mirror || mirror.JobId != request.JobId)
            return;
        if (mirror.SwitchedFrom is not null)
        {
            throw new GodwitException(
                ErrorCode.WrongState, $"disk {request.Disk} runs on {mirror.TargetPath} already; there is nothing left to cancel");
        }

        _context.Record(mirror with { Cancelled = true });
        await DetachAsync(() => TargetFiles.Delete(_context, mirror)).ConfigureAwait(false);
        _context.Record(null);
        (_failure, _last) = (null, null);
        var left = mirror.Remote is null ? "deleted" : "left to its host";
        _context.Log.Note($"{_context.Name}: mirror of job {mirror.JobId} cancelled, {mirror.UnfinishedPath} {left}");
    }

    /// <summary>Looks whether the mirror is still well; called about every second.</summary>
    internal async Task CheckAsync()
    {
        if (_running is not { } running || Mirror is not { } mirror)
            return;
        if (running.Device.State == MirrorDiskState.Failed)
        {
            await GiveUpAsync(running.Problem!).ConfigureAwait(false);
        }
        else if (mirror.TargetFile is { } identity && !FileStatus.Is(mirror.UnfinishedPath, identity))
        {
            await GiveUpAsync(new Problem(
                ErrorCode.NotFound,
                $"the unfinished target {mirror.UnfinishedPath} was deleted or replaced while disk {_context.Name} was being copied",
                "cancel the job and start it again")).ConfigureAwait(false);
        }
    }

    /// <summary>Ends the copy and closes the target, leaving record and bitmap to the next worker.</summary>
    internal async Task CloseAsync()
    {
        if (_running is not { } running)
            return;
        await running.StopAsync().ConfigureAwait(false);
        await _device.ReplaceAsync((_, _) => ValueTask.FromResult(running.Source), CancellationToken.None).ConfigureAwait(false);
        _last = running.Progress;
        _running = null;
        await CloseTargetAsync(running).ConfigureAwait(false);
    }

    /// <summary>The same job asks again: only a start whose undo failed has left anything to do.</summary>
    private async Task ContinueAsync(WorkerMirrorConfig mirror)
    {
        if (mirror.Cancelled)
            throw new GodwitException(ErrorCode.WrongState, $"job {mirror.JobId} has been cancelled", "cancel it again to finish that");
        if (_running is null && mirror is { SwitchedFrom: null, Failure: null })
            await WhileOursAsync(() => StartOverAsync(mirror, CancellationToken.None)).ConfigureAwait(false);
    }

    private Task WhileOursAsync(Func<Task> action) => Lease.WhileOursAsync(_fence, _context.Name, action);

    /// <summary>Why nothing may be written now; null when it may.</summary>
    private Problem? WhyHeld() => Lease.WhyHeld(_fence, _context.Name);

    private static void CheckRate(long? bytesPerSecond)
    {
        if (bytesPerSecond is <= 0)
            throw new GodwitException(ErrorCode.InvalidRequest, "the rate limit must be above zero bytes per second");
    }

    private static GodwitException OtherJob(string disk, WorkerMirrorConfig existing) => new(
        ErrorCode.Busy, $"disk {disk} is already mirrored by job {existing.JobId} to {existing.TargetPath}", "wait for that job, or cancel it");

    private static GodwitException NoMirror(string disk, Guid job) =>
        new(ErrorCode.NotFound, $"disk {disk} has no mirror of job {job}");
}
