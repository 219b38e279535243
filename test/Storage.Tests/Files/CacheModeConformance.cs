using Godwit.Storage.Chains;
using Godwit.Storage.Decorators;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Testing;
using Godwit.Testing.Disks;

namespace Godwit.Storage.Tests.Files;

/// <summary>Disks of every family around the page cache.</summary>
public abstract class UncachedDiskConformance(ImageFormat format) : DiskConformance, IDisposable
{
    private readonly TempFolder _folder = new();
    private int _count;

    protected override int Sequences => 10;

    protected override string? AllocatesBecause => "a write that is not where the disk wants it takes memory that is";

    public void Dispose()
    {
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }

    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var path = _folder.File($"disk{Interlocked.Increment(ref _count)}");
        await DiskImage.CreateAsync(path, format, size, null, CancellationToken.None);
        return new DiskUnderTest(await OpenAsync(path, false), readOnly => OpenAsync(path, readOnly));
    }

    protected virtual BlockDevice Decorate(BlockDevice device) => device;

    private async ValueTask<BlockDevice> OpenAsync(string path, bool readOnly) => Decorate((await DiskChain.OpenAsync(
        path, new ChainOptions { Format = format, ReadOnly = readOnly, Cache = FileCache.None }, CancellationToken.None)).Device);
}

public sealed class UncachedRawConformance() : UncachedDiskConformance(ImageFormat.Raw);

public sealed class UncachedVhdxConformance() : UncachedDiskConformance(ImageFormat.VhdxDynamic);

public sealed class UncachedVhdConformance() : UncachedDiskConformance(ImageFormat.VhdDynamic);

/// <summary>Both at once: QEMU's directsync.</summary>
public sealed class UncachedWriteThroughConformance() : UncachedDiskConformance(ImageFormat.VhdxDynamic)
{
    protected override BlockDevice Decorate(BlockDevice device) => device.Capabilities.ReadOnly ? device : new WriteThroughDisk(device);
}

public sealed class WriteThroughDiskConformance : DiskConformance
{
    protected override ValueTask<DiskUnderTest> CreateAsync(long size) => new(new DiskUnderTest(new WriteThroughDisk(new ReferenceDisk(size))));
}
