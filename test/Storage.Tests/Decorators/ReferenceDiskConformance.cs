using Godwit.Testing.Disks;

namespace Godwit.Storage.Tests.Decorators;

public sealed class ReferenceDiskConformance : DiskConformance
{
    protected override ValueTask<DiskUnderTest> CreateAsync(long size) => new(new DiskUnderTest(new ReferenceDisk(size)));
}
