using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Formats.Raw;

public sealed class RawDiskInMemoryConformance : DiskConformance
{
    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var file = new MemoryFile();
        await RawDisk.CreateAsync(file, size, CancellationToken.None);
        return new DiskUnderTest(RawDisk.Open(file), readOnly => new(RawDisk.Open(file.Reopen(readOnly))));
    }
}

public sealed class RawDiskOnLocalFileConformance : DiskConformance, IDisposable
{
    private readonly TempFolder _folder = new();
    private int _count;

    public void Dispose() => _folder.Dispose();

    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var path = _folder.File($"disk{Interlocked.Increment(ref _count)}.raw");
        var file = LocalFile.Create(path);
        await RawDisk.CreateAsync(file, size, CancellationToken.None);
        return new DiskUnderTest(RawDisk.Open(file), readOnly => new(RawDisk.Open(LocalFile.Open(path, readOnly))));
    }
}

public sealed class RawDiskOnCrashFileConformance : DiskConformance
{
    protected override string? AllocatesBecause => "the crash file remembers every write";

    protected override int Sequences => 10;

    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var file = new CrashFile { FlushesYield = true };
        await RawDisk.CreateAsync(file, size, CancellationToken.None);
        return new DiskUnderTest(
            RawDisk.Open(file), readOnly => new(RawDisk.Open(readOnly ? file.AfterKill(file.EventCount).Reopen(true) : file.Reopen())));
    }
}
