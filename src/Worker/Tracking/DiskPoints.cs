using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Mirror;
using Godwit.Storage.Tracking;
using Godwit.Worker.Mirrors;

namespace Godwit.Worker.Tracking;

/// <summary>The points of one disk: in worker.json, in files, and in the tracker that marks.</summary>
/// <remarks>The caller runs one method at a time; only <see cref="Status"/> may be called at any time. A file without a record is what a
/// worker left that died while it made one: nobody was told of it. A record without a file is a point that is lost.</remarks>
internal sealed class DiskPoints
{
    private const string Ending = ".changes";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private readonly MirrorContext _context;
    private readonly SwitchableDisk _disk;
    private readonly ChangeTracker _tracker;
    private readonly Guid _boot;

    /// <summary>Creates it for a disk that does not serve anyone yet.</summary>
    internal DiskPoints(MirrorContext context, SwitchableDisk disk, ChangeTracker tracker)
    {
        _context = context;
        _disk = disk;
        _tracker = tracker;
        _boot = Guid.TryParse(context.BootId, out var boot) ? boot : Guid.NewGuid();
    }

    private IReadOnlyList<WorkerPointConfig> Records => _context.Entry.Points ?? [];

    /// <summary>Takes up the points of earlier workers, before the first request is served.</summary>
    /// <param name="image">The image before it was opened.</param>
    internal void Restore(ImageStamp? image)
    {
        try
        {
            RemoveOrphans();
        }
        catch (Exception e) when (e is StorageException or IOException or UnauthorizedAccessException)
        {
            _context.Log.Warn($"{_context.Name}: what is left of unfinished points could not be removed: {e.Message}");
        }

        _tracker.Restore([.. Records.Select(record => Open(record, image))]);
    }

    /// <summary>Starts a point; the same request again changes nothing.</summary>
    internal async Task AddAsync(AddPoint request)
    {
        if (Records.Any(record => record.Id == request.Id))
            return;
        Check(request);
        var path = _context.Folders.Changes(_context.Name, request.Id);
        LocalFolder.Remove(path);
        var point = ChangePoint.Create(request.Name, path, _disk.Length, _boot);
        try
        {
            await WithPatienceAsync(token => _tracker.AddAsync(_disk, point, token)).ConfigureAwait(false);
        }
        catch
        {
            point.Dispose();
            LocalFolder.Remove(path);
            throw;
        }

        await RecordAsync(point, new WorkerPointConfig(request.Id, request.Name, _context.Time.GetUtcNow())).ConfigureAwait(false);
        _context.Log.Note($"{_context.Name}: changes are marked since point {request.Name}");
    }

    /// <summary>Forgets a point; without one of that name it is already so.</summary>
    internal async Task RemoveAsync(RemovePoint request)
    {
        if (_tracker.Points.FirstOrDefault(each => each.Name == request.Name) is { } point)
            await WithPatienceAsync(token => _tracker.RemoveAsync(_disk, point, token)).ConfigureAwait(false);
        if (Records.All(record => record.Name != request.Name))
            return;
        Record(Records.Where(record => record.Name != request.Name));
        _context.Log.Note($"{_context.Name}: point {request.Name} removed");
    }

    /// <summary>How the points stand now; null without any.</summary>
    internal IReadOnlyList<DiskPoint>? Status()
    {
        var (records, points, length) = (Records, _tracker.Points, _disk.Length);
        return records.Count == 0 ? null : [.. records.Select(record => Of(record, points.FirstOrDefault(each => each.Name == record.Name)))];

        DiskPoint Of(WorkerPointConfig record, ChangePoint? point) =>
            new(record.Name, record.Taken, point?.ChangedBytes(length) ?? length, record.Lost ?? (point is null ? "it is removed" : point.LostBecause));
    }

    /// <summary>Closes the points after the image has been flushed and closed.</summary>
    internal void Close()
    {
        if (_tracker.Points.Count == 0)
            return;
        var image = ImageStamp.TryRead(_context.Entry.Disk.Path);
        foreach (var point in _tracker.Points)
        {
            try
            {
                point.Close(image);
            }
            catch (StorageException e)
            {
                _context.Log.Warn($"{_context.Name}: point {point.Name} was not closed properly and is lost once the computer starts again: {e.Message}");
            }
        }
    }

    private ChangePoint Open(WorkerPointConfig record, ImageStamp? image)
    {
        if (record.Lost is { } known)
            return ChangePoint.Lost(record.Name, known);
        var path = _context.Folders.Changes(_context.Name, record.Id);
        var point = ChangePoint.Open(record.Name, path, _disk.Length, _boot, image);
        if (point.LostBecause is { } reason)
            RecordLoss(record, path, reason);
        return point;
    }

    private void RecordLoss(WorkerPointConfig record, string path, string reason)
    {
        _context.Log.Warn($"{_context.Name}: point {record.Name} is lost, everything counts as changed since: {reason}");
        try
        {
            LocalFolder.Remove(path);
            Record(Records.Select(each => each.Id == record.Id ? each with { Lost = reason } : each));
        }
        catch (StorageException e)
        {
            // The next worker finds the same again.
            _context.Log.Warn($"{_context.Name}: that could not be recorded: {e.Message}");
        }
    }

    private void Check(AddPoint request)
    {
        if (!DiskPointSpec.IsName(request.Name))
        {
            throw new GodwitException(
                ErrorCode.InvalidRequest, $"\"{request.Name}\" is no name for a point", "take 1 to 64 letters, digits, dots, underscores and hyphens");
        }

        if (_disk.Capabilities.ReadOnly)
            throw new GodwitException(ErrorCode.WrongState, $"disk {_context.Name} is read-only: nothing on it changes");
        if (_tracker.Points.Any(point => point.Name == request.Name) || Records.Any(record => record.Name == request.Name))
            throw new GodwitException(ErrorCode.AlreadyExists, $"disk {_context.Name} has a point {request.Name} already", "remove it first or take another name");
        if (_tracker.Points.Count >= ChangeTracker.MaxPoints)
            throw new GodwitException(ErrorCode.WrongState, $"disk {_context.Name} has {ChangeTracker.MaxPoints} points, which is the most", "remove one first");
    }

    private async Task RecordAsync(ChangePoint point, WorkerPointConfig record)
    {
        try
        {
            Record(Records.Append(record));
        }
        catch (StorageException)
        {
            await _tracker.RemoveAsync(_disk, point, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    private void Record(IEnumerable<WorkerPointConfig> points)
    {
        IReadOnlyList<WorkerPointConfig> all = [.. points];
        _context.Config.Update(_context.Name, entry => entry with { Points = all.Count == 0 ? null : all });
    }

    private async Task WithPatienceAsync(Func<CancellationToken, ValueTask> wait)
    {
        using var limit = new CancellationTokenSource(Patience, _context.Time);
        try
        {
            await wait(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e)
        {
            throw new GodwitException(
                new Problem(ErrorCode.Busy, $"requests of disk {_context.Name} took longer than {Patience.TotalSeconds:0} s", "try again"), e);
        }
    }

    private void RemoveOrphans()
    {
        var known = Records.Where(record => record.Lost is null).Select(record => record.Id).ToHashSet();
        foreach (var path in Directory.EnumerateFiles(_context.Folders.Config))
        {
            var name = Path.GetFileName(path).AsSpan();
            var draft = LocalFolder.DraftOf("");
            var whole = name.EndsWith(draft, StringComparison.Ordinal) ? name[..^draft.Length] : name;
            if (whole.StartsWith(_context.Name + ".", StringComparison.Ordinal) && whole.EndsWith(Ending, StringComparison.Ordinal)
                && whole.Length == _context.Name.Length + 1 + 32 + Ending.Length
                && Guid.TryParseExact(whole.Slice(_context.Name.Length + 1, 32), "N", out var id)
                && (whole.Length < name.Length || !known.Contains(id)))
            {
                LocalFolder.Remove(path);
            }
        }
    }
}
