namespace Godwit.Storage.Partitions;

/// <summary>How the space of a disk is divided.</summary>
public enum PartitionScheme
{
    /// <summary>Nothing that is known: an empty disk, or bytes of an unknown kind.</summary>
    None = 0,

    /// <summary>No table: a file system, or another known content, fills the whole disk.</summary>
    WholeDisk = 1,

    /// <summary>The partition table of the first sector, with logical partitions where there are any.</summary>
    Mbr = 2,

    /// <summary>GUID partition table (UEFI specification, chapter 5).</summary>
    Gpt = 3,
}
