using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>A dynamic VHDX of 1 MiB blocks, so that the suite's disk has several.</summary>
public class VhdxDynamicConformance : DiskConformance
{
    protected virtual VhdxCreateOptions Options(long size) => new() { Size = size, BlockSize = 1 << 20 };

    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var file = new MemoryFile(path: "memory.vhdx");
        await VhdxDisk.CreateAsync(file, Options(size), CancellationToken.None);
        return new DiskUnderTest(await OpenAsync(file), readOnly => OpenAsync(file.Reopen(readOnly)));
    }

    protected static async ValueTask<BlockDevice> OpenAsync(IStorageFile file) =>
        await VhdxDisk.OpenAsync(file, new VhdxOpenOptions(), CancellationToken.None);
}

public sealed class VhdxDynamicBigBlocksConformance : VhdxDynamicConformance
{
    protected override VhdxCreateOptions Options(long size) => new() { Size = size, PhysicalSectorSize = 512 };
}

public sealed class VhdxDynamicTwoMebibyteBlocksConformance : VhdxDynamicConformance
{
    protected override VhdxCreateOptions Options(long size) => new() { Size = size, BlockSize = 2 << 20, LogSize = 2 << 20 };
}

public sealed class VhdxFixedConformance : VhdxDynamicConformance
{
    protected override VhdxCreateOptions Options(long size) => new() { Size = size, BlockSize = 2 << 20, Fixed = true };
}

public sealed class VhdxOnLocalFileConformance : DiskConformance, IDisposable
{
    private readonly TempFolder _folder = new();
    private int _count;

    protected override int Sequences => 10;

    public void Dispose() => _folder.Dispose();

    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var path = _folder.File($"disk{Interlocked.Increment(ref _count)}.vhdx");
        await using (var file = LocalFile.Create(path))
            await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = size, BlockSize = 1 << 20 }, CancellationToken.None);
        return new DiskUnderTest(await OpenAsync(path, false), readOnly => OpenAsync(path, readOnly));
    }

    private static async ValueTask<BlockDevice> OpenAsync(string path, bool readOnly) =>
        await VhdxDisk.OpenAsync(LocalFile.Open(path, readOnly), new VhdxOpenOptions(), CancellationToken.None);
}

public sealed class VhdxOnCrashFileConformance : DiskConformance
{
    protected override string? AllocatesBecause => "the crash file remembers every write";

    protected override int Sequences => 10;

    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var file = new CrashFile { FlushesYield = true };
        await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = size, BlockSize = 1 << 20 }, CancellationToken.None);
        return new DiskUnderTest(
            await OpenAsync(file), readOnly => OpenAsync(readOnly ? file.AfterKill(file.EventCount).Reopen(true) : file.Reopen()));
    }

    private static async ValueTask<BlockDevice> OpenAsync(IStorageFile file) =>
        await VhdxDisk.OpenAsync(file, new VhdxOpenOptions(), CancellationToken.None);
}
