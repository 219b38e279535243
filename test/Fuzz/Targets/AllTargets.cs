using Godwit.Fuzz.Engine;
using Godwit.Fuzz.Nbd;

namespace Godwit.Fuzz.Targets;

/// <summary>Every target; a new one is added here and in docs/design/fuzzing.md.</summary>
internal static class AllTargets
{
    /// <summary>New ones in the order of docs/design/fuzzing.md.</summary>
    public static IReadOnlyList<FuzzTarget> Create() =>
    [
        new VhdxHeaderTarget(),
        new VhdxRegionTarget(),
        new VhdxMetadataTarget(),
        new VhdxBatTarget(),
        new VhdxLogTarget(),
        new VhdxLocatorTarget(),
        new VhdxBitmapTarget(),
        new VhdFooterTarget(),
        new VhdHeaderTarget(),
        new VhdLocatorTarget(),
        new VhdBatTarget(),
        new VhdxRepairTarget(),
        new VhdRepairTarget(),
        new PartitionTarget(),
        new FileSystemTarget(),
        new NbdServerTarget(),
        new NbdClientTarget(),
    ];
}
