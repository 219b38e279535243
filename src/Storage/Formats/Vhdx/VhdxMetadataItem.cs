namespace Godwit.Storage.Formats.Vhdx;

/// <summary>A metadata item with all of its content.</summary>
/// <param name="Id">What it is.</param>
/// <param name="Flags">Whose it is and who must know it ([MS-VHDX] 2.6.1.2).</param>
/// <param name="Bytes">All of it; may be empty.</param>
internal sealed record VhdxMetadataItem(Guid Id, uint Flags, byte[] Bytes)
{
    public const uint UserFlag = 1;
    public const uint VirtualDiskFlag = 2;
    public const uint RequiredFlag = 4;

    /// <summary>The user has put it there.</summary>
    public bool IsUser => (Flags & UserFlag) != 0;

    /// <summary>It belongs to the virtual disk, not to the file: who makes another file of the same disk takes it along.</summary>
    public bool IsVirtualDisk => (Flags & VirtualDiskFlag) != 0;

    /// <summary>Nobody here knows what it means.</summary>
    public bool IsForeign => IsUser || !VhdxMetadataTable.IsKnown(Id);

    /// <summary>It is about the same thing.</summary>
    public bool IsFor(VhdxMetadataItem other) => Id == other.Id && IsUser == other.IsUser;

    /// <summary>It says the same.</summary>
    public bool Says(VhdxMetadataItem other) => IsFor(other) && Flags == other.Flags && Bytes.AsSpan().SequenceEqual(other.Bytes);
}
