using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;
using Godwit.Testing.Disks;

namespace Godwit.Storage.Tests.Formats.Raw;

public sealed class RawDiskCrashes : CrashConformance
{
    protected override ValueTask FormatAsync(IStorageFile file, long size) => RawDisk.CreateAsync(file, size, CancellationToken.None);

    protected override ValueTask<BlockDevice> OpenAsync(IStorageFile file) => new(RawDisk.Open(file));
}
