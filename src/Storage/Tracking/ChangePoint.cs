using Godwit.Storage.Bitmaps;
using Godwit.Storage.Files;

namespace Godwit.Storage.Tracking;

/// <summary>Which parts of a disk may have changed since a point in time: never too few of them.</summary>
/// <remarks>
/// <para>The marks are in a mapped file: they survive <c>kill -9</c> of this process. After a power cut, or when the image was changed while
/// nobody marked, they say too little; then the point is lost, which means that everything counts as changed, for good.</para>
/// <para>Reading is safe from any thread at any time, also after the point is gone: it then says that everything has changed. Marking,
/// growing and closing are the owner's, see <see cref="ChangeTracker"/>.</para>
/// </remarks>
public sealed class ChangePoint : IDisposable
{
    private readonly Lock _reading = new();
    private readonly string _path;
    private readonly Guid _boot;

    // Without one everything has changed.
    private DirtyBitmap? _bitmap;

    private ChangePoint(string name, string path, Guid boot, DirtyBitmap? bitmap, string? lost)
    {
        Name = name;
        _path = path;
        _boot = boot;
        _bitmap = bitmap;
        LostBecause = lost;
    }

    /// <summary>What people call it.</summary>
    public string Name { get; }

    /// <summary>Why everything counts as changed, in words; null while the marks are good.</summary>
    public string? LostBecause { get; private set; }

    /// <summary>Makes a point with nothing marked, and its file. It counts from when a tracker has it.</summary>
    /// <param name="name">What people call it.</param>
    /// <param name="path">The file; must not exist.</param>
    /// <param name="deviceLength">Size of the disk in bytes.</param>
    /// <param name="boot">The running start of the computer.</param>
    /// <exception cref="StorageException">The file exists, or the folder refuses it or has no room for it. Nothing is left then.</exception>
    public static ChangePoint Create(string name, string path, long deviceLength, Guid boot) => new(name, path, boot, Make(path, deviceLength, boot), null);

    /// <summary>Takes up the point of an earlier process. Never fails: what cannot be believed is lost.</summary>
    /// <param name="name">What people call it.</param>
    /// <param name="path">The file.</param>
    /// <param name="deviceLength">Size of the disk in bytes.</param>
    /// <param name="boot">The running start of the computer.</param>
    /// <param name="image">The image before anybody opened it; null when nothing can be said about it.</param>
    public static ChangePoint Open(string name, string path, long deviceLength, Guid boot, ImageStamp? image)
    {
        DirtyBitmap? bitmap = null;
        string? lost;
        try
        {
            bitmap = DirtyBitmap.Open(path, deviceLength);
            lost = Distrust(PointSession.Read(path), boot, image);
            if (lost is null)
                new PointSession(false, boot, default).Write(path);
        }
        catch (StorageException e)
        {
            lost = e.Reason;
        }

        if (lost is null)
            return new ChangePoint(name, path, boot, bitmap, null);
        bitmap?.Dispose();
        return new ChangePoint(name, path, boot, null, lost);
    }

    /// <summary>A point known to be lost.</summary>
    /// <param name="name">What people call it.</param>
    /// <param name="reason">Why, in words.</param>
    public static ChangePoint Lost(string name, string reason) => new(name, "", Guid.Empty, null, reason);

    /// <summary>Bytes that may have changed, in whole granules.</summary>
    /// <param name="deviceLength">Size of the disk in bytes.</param>
    public long ChangedBytes(long deviceLength)
    {
        lock (_reading)
            return _bitmap?.DirtyBytes ?? deviceLength;
    }

    /// <summary>Finds the end of the run that starts at a byte.</summary>
    /// <param name="offset">Where it starts, any alignment.</param>
    /// <param name="end">The answer is never above this; above <paramref name="offset"/>.</param>
    /// <param name="changed">Whether the run may have changed.</param>
    /// <returns>The byte after the run.</returns>
    public long RunEnd(long offset, long end, out bool changed)
    {
        lock (_reading)
        {
            changed = true;
            return _bitmap is { } bitmap && offset < bitmap.Length ? bitmap.RunEnd(offset, Math.Min(end, bitmap.Length), out changed) : end;
        }
    }

    /// <summary>Lets go of the memory, leaving the file as a killed process would. Readers are told that everything has changed.</summary>
    public void Dispose()
    {
        lock (_reading)
        {
            _bitmap?.Dispose();
            _bitmap = null;
        }
    }

    /// <summary>Closes the file so that it can be believed later, if the image is then what it is now.</summary>
    /// <param name="image">The closed image; null when nothing can be said about it.</param>
    /// <exception cref="StorageException">The file system refused; the marks can be believed until the computer starts again.</exception>
    public void Close(ImageStamp? image)
    {
        lock (_reading)
        {
            if (_bitmap is null)
                return;
            _bitmap.Flush();
            if (image is { } stamp)
                new PointSession(true, _boot, stamp).Write(_path);
        }

        Dispose();
    }

    /// <summary>Removes the file, then lets go of the memory.</summary>
    /// <exception cref="StorageException">The folder refused; the point goes on.</exception>
    internal void Delete()
    {
        if (_path.Length > 0)
            LocalFolder.Remove(_path);
        Dispose();
    }

    /// <summary>Marks a change; no other call that changes the point runs at the time.</summary>
    internal void Mark(long offset, long length) => _bitmap?.Set(offset, length);

    /// <summary>The disk has grown: what is new has changed. What cannot be kept is lost.</summary>
    internal void Grow(long length)
    {
        lock (_reading)
        {
            if (_bitmap is not { } old || old.Length == length)
                return;
            try
            {
                _bitmap = MakeGrown(old, length);
            }
            catch (Exception e) when (e is StorageException or IOException or UnauthorizedAccessException)
            {
                _bitmap = null;
                LostBecause = $"the disk grew and the marks could not: {(e as StorageException)?.Reason ?? e.Message}";
            }

            old.Dispose();
        }
    }

    private DirtyBitmap MakeGrown(DirtyBitmap old, long length)
    {
        var draft = LocalFolder.DraftOf(_path);
        LocalFolder.Remove(draft);
        var grown = Make(draft, length, _boot);
        long end;
        for (long at = 0; at < old.Length; at = end)
        {
            end = old.RunEnd(at, old.Length, out var dirty);
            if (dirty)
                grown.Set(at, end - at);
        }

        grown.Set(old.Length, length - old.Length);
        try
        {
            // Until then the old file stands, which is refused for its length.
            File.Move(draft, _path, overwrite: true);
            return grown;
        }
        catch
        {
            grown.Dispose();
            throw;
        }
    }

    private static DirtyBitmap Make(string path, long deviceLength, Guid boot)
    {
        var bitmap = DirtyBitmap.Create(path, deviceLength, dirty: false);
        try
        {
            new PointSession(false, boot, default).Write(path);
            return bitmap;
        }
        catch (StorageException)
        {
            bitmap.Dispose();
            LocalFolder.Remove(path);
            throw;
        }
    }

    /// <summary>Why marks may be missing; null when none can.</summary>
    private static string? Distrust(PointSession? session, Guid boot, ImageStamp? image) => session switch
    {
        null => "its file was torn by a power cut or changed by somebody else",
        { IsClosed: false } when session.Boot != boot => "the computer stopped while the disk was in use",
        { IsClosed: true } when image != session.Image => "the image was changed or replaced while the disk was not in use",
        _ => null,
    };
}
