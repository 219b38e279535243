using Godwit.Storage.Decorators;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Disks;

namespace Godwit.Storage.Tests.Formats.Vhdx;

public class VhdxDynamicCrashes : CrashConformance
{
    protected virtual VhdxCreateOptions Options(long size) => new() { Size = size, BlockSize = 1 << 20 };

    protected override ValueTask FormatAsync(IStorageFile file, long size) =>
        VhdxDisk.CreateAsync(file, Options(size), CancellationToken.None);

    protected sealed override ValueTask<BlockDevice> OpenAsync(IStorageFile file) => OpenAsync(file, afterPowerCut: false);

    protected sealed override async ValueTask<BlockDevice> OpenAsync(IStorageFile file, bool afterPowerCut)
    {
        var options = await OpenOptionsAsync();
        return await VhdxDisk.OpenAsync(
            file, afterPowerCut ? options with { BootId = VhdxSample.AfterPowerCut } : options, CancellationToken.None);
    }

    protected virtual ValueTask<VhdxOpenOptions> OpenOptionsAsync() => new(new VhdxOpenOptions());
}

public sealed class Vhdx4KSectorsCrashes : VhdxDynamicCrashes
{
    protected override int SectorSize => 4096;

    protected override long Size => (4 << 20) + (3 * SectorSize);

    protected override VhdxCreateOptions Options(long size) => new() { Size = size, BlockSize = 1 << 20, LogicalSectorSize = 4096 };
}

/// <summary>Over a parent full of data: every sector must be the parent's or what was written, never the zeroes of a new block.</summary>
public class VhdxDifferencingCrashes : VhdxDynamicCrashes
{
    private const int Parents = 2_000_000;
    private BlockDevice? _parent;

    protected override int BaseRequest => Parents;

    protected override VhdxCreateOptions Options(long size) => new() { Size = size, BlockSize = 1 << 20, Parent = VhdxSample.SomeParent };

    protected override async ValueTask<VhdxOpenOptions> OpenOptionsAsync() =>
        new() { Parent = new BorrowedDisk(_parent ??= await MakeParentAsync()) };

    private async Task<BlockDevice> MakeParentAsync()
    {
        var parent = new ReferenceDisk(Size, DiskCapabilities.Default with { SectorSize = SectorSize });
        await parent.WriteAsync(0, CrashHistory.Content(Parents, 0, (int)Size), WriteFlags.None, CancellationToken.None);
        return parent;
    }
}

public sealed class VhdxDifferencing4KSectorsCrashes : VhdxDifferencingCrashes
{
    protected override int SectorSize => 4096;

    protected override long Size => (4 << 20) + (3 * SectorSize);

    protected override VhdxCreateOptions Options(long size) => base.Options(size) with { LogicalSectorSize = 4096, BlockSize = 2 << 20 };
}

public sealed class VhdxFixedCrashes : VhdxDynamicCrashes
{
    protected override VhdxCreateOptions Options(long size) => new() { Size = size, BlockSize = 1 << 20, Fixed = true };
}
