using Godwit.Storage.Files;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Formats.Vhdx;

public sealed class VhdxTrimDuringFlush : TrimDuringFlush
{
    protected override int BlockSize => VhdxSample.MiB;

    protected override Task<MemoryFile> CreateAsync() => VhdxSample.CreateAsync();

    protected override async Task<BlockDevice> OpenAsync(IStorageFile file) => await VhdxSample.OpenAsync(file);
}
