using Godwit.Storage.Files;
using Godwit.Testing;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Files;

/// <summary>On the file system of the temporary folder.</summary>
public class LocalFileConformance : StorageFileConformance, IDisposable
{
    private readonly TempFolder _folder;
    private int _count;

    public LocalFileConformance()
        : this(null)
    {
    }

    protected LocalFileConformance(string? parent) => _folder = new TempFolder(parent);

    public void Dispose() => _folder.Dispose();

    protected override IStorageFile Create() => LocalFile.Create(NewPath());

    protected string NewPath() => _folder.File($"file{Interlocked.Increment(ref _count)}");
}

/// <summary>On a file system in memory, which reserves space in another way.</summary>
public sealed class LocalFileInMemoryConformance() : LocalFileConformance(Directory.Exists("/dev/shm") ? "/dev/shm" : null);

/// <summary>With large writes that go around the page cache, where the file system of the temporary folder can.</summary>
public sealed class LocalFileUncachedConformance : LocalFileConformance
{
    protected override IStorageFile Create()
    {
        var path = NewPath();
        LocalFile.Create(path).DisposeAsync().AsTask().GetAwaiter().GetResult();
        return LocalFile.Open(path, readOnly: false, bypassCache: true);
    }
}

/// <summary>Everything around the page cache.</summary>
public class LocalFileDirectConformance : LocalFileConformance
{
    public LocalFileDirectConformance()
        : this(null)
    {
    }

    protected LocalFileDirectConformance(string? parent)
        : base(parent)
    {
    }

    protected override IStorageFile Create()
    {
        var path = NewPath();
        LocalFile.Create(path).DisposeAsync().AsTask().GetAwaiter().GetResult();
        return LocalFile.Open(path, readOnly: false, cache: FileCache.None);
    }
}

/// <summary>The same on a file system in memory, which may take such requests or not.</summary>
public sealed class LocalFileDirectInMemoryConformance() : LocalFileDirectConformance(Directory.Exists("/dev/shm") ? "/dev/shm" : null);
