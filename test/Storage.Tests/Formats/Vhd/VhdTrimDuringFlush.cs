using Godwit.Storage.Files;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Formats.Vhd;

public sealed class VhdTrimDuringFlush : TrimDuringFlush
{
    protected override int BlockSize => 512 << 10;

    protected override Task<MemoryFile> CreateAsync() => VhdSample.CreateAsync(blockSize: BlockSize);

    protected override async Task<BlockDevice> OpenAsync(IStorageFile file) => await VhdSample.OpenAsync(file);
}
