using Godwit.Storage.Files;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Repair;

/// <summary>A draft over an empty file is a file like every other one.</summary>
public sealed class DraftFileConformance : StorageFileConformance
{
    protected override IStorageFile Create() => new DraftFile(new MemoryFile());
}
