namespace Godwit.Storage.Partitions;

/// <summary>Names of the partition types people meet.</summary>
internal static class PartitionTypes
{
    private static readonly Dictionary<string, string> Names = new(StringComparer.OrdinalIgnoreCase)
    {
        ["01"] = "FAT12",
        ["04"] = "FAT16",
        ["05"] = "extended",
        ["06"] = "FAT16",
        ["07"] = "NTFS or exFAT",
        ["0b"] = "FAT32",
        ["0c"] = "FAT32",
        ["0e"] = "FAT16",
        ["0f"] = "extended",
        ["27"] = "Windows recovery",
        ["42"] = "Windows dynamic disk",
        ["82"] = "Linux swap",
        ["83"] = "Linux",
        ["85"] = "Linux extended",
        ["8e"] = "Linux LVM",
        ["a5"] = "FreeBSD",
        ["ef"] = "EFI system",
        ["fd"] = "Linux RAID",
        ["c12a7328-f81f-11d2-ba4b-00a0c93ec93b"] = "EFI system",
        ["e3c9e316-0b5c-4db8-817d-f92df00215ae"] = "Microsoft reserved",
        ["ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"] = "Windows data",
        ["de94bba4-06d1-4d40-a16a-bfd50179d6ac"] = "Windows recovery",
        ["5808c8aa-7e8f-42e0-85d2-e1e90434cfb3"] = "Windows dynamic disk metadata",
        ["af9b60a0-1431-4f62-bc68-3311714a69ad"] = "Windows dynamic disk data",
        ["e75caf8f-f680-4cee-afa3-b001e56efc2d"] = "Storage Spaces",
        ["21686148-6449-6e6f-744e-656564454649"] = "BIOS boot",
        ["0fc63daf-8483-4772-8e79-3d69d8477de4"] = "Linux",
        ["4f68bce3-e8cd-4db1-96e7-fbcaf984b709"] = "Linux root x86-64",
        ["0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"] = "Linux swap",
        ["e6d6d379-f507-44c2-a23c-238f2a3df928"] = "Linux LVM",
        ["a19d880f-05fc-4d3b-a006-743f0f84911e"] = "Linux RAID",
    };

    /// <summary>The name of a type; null when it is not a common one.</summary>
    public static string? NameOf(string type) => Names.GetValueOrDefault(type);
}
