using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Formats.Vhdx;

/// <summary>No page of the table stays in memory longer than the log needs it, so every request loads it again.</summary>
public sealed class VhdxEvictingConformance : DiskConformance
{
    protected override string? AllocatesBecause => "every request loads a page of the table";

    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var file = new MemoryFile(path: "memory.vhdx");
        await VhdxDisk.CreateAsync(file, new VhdxCreateOptions { Size = size, BlockSize = 1 << 20 }, CancellationToken.None);
        return new DiskUnderTest(await OpenAsync(file), readOnly => OpenAsync(file.Reopen(readOnly)));
    }

    private static async ValueTask<BlockDevice> OpenAsync(IStorageFile file) =>
        await VhdxDisk.OpenAsync(file, new VhdxOpenOptions { TablePages = 0 }, CancellationToken.None);
}

public sealed class VhdxEvictingCrashes : VhdxDynamicCrashes
{
    protected override ValueTask<VhdxOpenOptions> OpenOptionsAsync() => new(new VhdxOpenOptions { TablePages = 0 });
}
