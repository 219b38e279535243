using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Storage.Decorators;
using Godwit.Storage.Limits;
using Godwit.Worker.Mirrors;

namespace Godwit.Worker.Serving;

/// <summary>How much one disk may be used and is promised. The caller changes it one at a time; it may be read at any time.</summary>
internal sealed class DiskUse(MirrorContext context)
{
    private volatile ThrottledDisk? _disk;
    private bool _isShort;

    /// <summary>Set while the disk does not get what it was promised.</summary>
    internal DiskShortfall? Shortfall => _disk is { Shortfall: { } found, Limits.MinimumRequestsPerSecond: long minimum }
        ? new DiskShortfall(found.RequestsPerSecond, minimum, found.Since)
        : null;

    /// <summary>Makes the recorded limits hold for the disk that is served from now on; it stays the caller's.</summary>
    internal void Attach(ThrottledDisk disk)
    {
        disk.Limits = Of(context.Entry.Limits);
        _disk = disk;
    }

    /// <summary>Changes the limits; recorded first, so that the next worker knows.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>: they make no sense.</exception>
    internal void Change(DiskLimitSpec limits)
    {
        if (limits.FindProblem() is { } problem)
            throw new GodwitException(ErrorCode.InvalidRequest, problem, "leave it out for no limit");
        context.Config.Update(context.Name, entry => entry with { Limits = limits == new DiskLimitSpec() ? null : limits });
        if (_disk is { } disk)
            disk.Limits = Of(limits);
    }

    /// <summary>Says in the log when the disk begins to get too little, and when that is over; called about every second.</summary>
    internal void Check()
    {
        var shortfall = Shortfall;
        if (shortfall is null != _isShort)
            return;
        _isShort = shortfall is not null;
        if (shortfall is not null)
            context.Log.Warn($"{context.Name} gets {shortfall.RequestsPerSecond} requests a second of the {shortfall.Minimum} it was promised");
        else
            context.Log.Note($"{context.Name} gets the requests a second it was promised again, or wants fewer");
    }

    private static DiskLimits Of(DiskLimitSpec? limits) => limits is null ? DiskLimits.None : new(limits.RequestsPerSecond, limits.BytesPerSecond)
    {
        BurstRequestsPerSecond = limits.BurstRequestsPerSecond,
        BurstBytesPerSecond = limits.BurstBytesPerSecond,
        BurstSeconds = limits.BurstSeconds ?? 1,
        MinimumRequestsPerSecond = limits.MinimumRequestsPerSecond,
    };
}
