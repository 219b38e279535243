using Godwit.Storage.Mirror;

namespace Godwit.Storage.Tracking;

/// <summary>The points in time since which the changes of a disk are marked.</summary>
/// <remarks>
/// <para>Changes are marked inside the gate of a <see cref="SwitchableDisk"/>, before the device is asked. Points come and go while the gate is
/// closed and nothing is under way, so a change is wholly before a point, or marked. Without points it costs one look at a field.</para>
/// <para><see cref="Points"/> may be read from any thread; everything else is the owner's, one call at a time.</para>
/// </remarks>
public sealed class ChangeTracker : IDisposable
{
    /// <summary>Points a disk can have: each marks on its own.</summary>
    public const int MaxPoints = 16;

    private volatile ChangePoint[]? _points;

    /// <summary>The points, oldest first.</summary>
    public IReadOnlyList<ChangePoint> Points => _points ?? [];

    /// <summary>Takes up the points of an earlier process, before the disk is served.</summary>
    /// <param name="points">The points, oldest first; owned from now on.</param>
    public void Restore(IReadOnlyList<ChangePoint> points) => _points = points.Count == 0 ? null : [.. points];

    /// <summary>Starts a point: what changes from here on is marked.</summary>
    /// <param name="disk">The disk that marks here.</param>
    /// <param name="point">The point, made for about this moment; owned from now on if this succeeds.</param>
    /// <param name="cancellationToken">Gives up waiting for requests under way; nothing is changed then.</param>
    /// <exception cref="InvalidOperationException">There are <see cref="MaxPoints"/> already.</exception>
    public async ValueTask AddAsync(SwitchableDisk disk, ChangePoint point, CancellationToken cancellationToken)
    {
        if (Points.Count >= MaxPoints)
            throw new InvalidOperationException($"a disk has at most {MaxPoints} points");
        await disk.PauseAsync(
            length =>
            {
                point.Grow(length);
                _points = [.. Points, point];
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends a point and deletes its file. Whoever still reads it is told that everything has changed.</summary>
    /// <param name="disk">The disk that marks here.</param>
    /// <param name="point">The point.</param>
    /// <param name="cancellationToken">Gives up waiting for requests under way; the point goes on then.</param>
    /// <exception cref="StorageException">The file cannot be deleted; the point goes on.</exception>
    public ValueTask RemoveAsync(SwitchableDisk disk, ChangePoint point, CancellationToken cancellationToken) => disk.PauseAsync(
        _ =>
        {
            // The file first: one that is not marked any more must not be found by anyone.
            point.Delete();
            Restore([.. Points.Where(each => each != point)]);
        },
        cancellationToken);

    /// <summary>Lets go of all points as a killed process would; the disk is not used any more.</summary>
    public void Dispose()
    {
        foreach (var point in Points)
            point.Dispose();
    }

    /// <summary>Marks a change that is about to be made. The caller is inside the disk's gate.</summary>
    internal void Mark(long offset, long length)
    {
        if (_points is not { } points)
            return;
        foreach (var point in points)
            point.Mark(offset, length);
    }

    /// <summary>The disk has grown; nothing is under way.</summary>
    internal void Grow(long length)
    {
        foreach (var point in Points)
            point.Grow(length);
    }
}
