using Godwit.Storage.Files;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Files;

public sealed class MemoryFileConformance : StorageFileConformance
{
    protected override IStorageFile Create() => new MemoryFile();
}

public sealed class CrashFileConformance : StorageFileConformance
{
    protected override IStorageFile Create() => new CrashFile { FlushesYield = true };
}

public sealed class FaultyFileConformance : StorageFileConformance
{
    protected override IStorageFile Create() => new FaultyFile(new MemoryFile());
}
