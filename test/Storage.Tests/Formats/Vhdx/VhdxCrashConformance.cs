using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Disks;

namespace Godwit.Storage.Tests.Formats.Vhdx;

public class VhdxDynamicCrashes : CrashConformance
{
    protected virtual VhdxCreateOptions Options(long size) => new() { Size = size, BlockSize = 1 << 20 };

    protected override ValueTask FormatAsync(IStorageFile file, long size) =>
        VhdxDisk.CreateAsync(file, Options(size), CancellationToken.None);

    protected override async ValueTask<BlockDevice> OpenAsync(IStorageFile file) =>
        await VhdxDisk.OpenAsync(file, new VhdxOpenOptions(), CancellationToken.None);
}

public sealed class VhdxFixedCrashes : VhdxDynamicCrashes
{
    protected override VhdxCreateOptions Options(long size) => new() { Size = size, BlockSize = 1 << 20, Fixed = true };
}
