namespace Godwit.Api.VirtualMachines;

/// <summary>What a storage move would do, or is doing.</summary>
/// <param name="Items">One line per disk.</param>
/// <param name="Phases">The phases in order.</param>
/// <param name="AvailableBytes">Free bytes on the destination's file system.</param>
public sealed record StorageMovePlan(IReadOnlyList<StorageMoveItem> Items, IReadOnlyList<string> Phases, long AvailableBytes);

/// <summary>One disk of a storage move.</summary>
/// <param name="Disk">Name within the VM.</param>
/// <param name="Source">Where the file is.</param>
/// <param name="Target">Where it will be.</param>
/// <param name="AllocatedBytes">Bytes the source file occupies.</param>
/// <param name="Size">What the guest sees, in bytes.</param>
public sealed record StorageMoveItem(string Disk, string Source, string Target, long AllocatedBytes, long Size);
