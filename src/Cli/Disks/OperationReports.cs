namespace Godwit.Cli.Disks;

/// <summary>What <c>disk hash</c> says.</summary>
/// <param name="Path">The file, absolute.</param>
/// <param name="Algorithm">The name of the definition in docs/reference/content-hash.md.</param>
/// <param name="Hash">64 hexadecimal digits.</param>
/// <param name="Size">What a guest sees, in bytes; a part of what is hashed.</param>
internal sealed record DiskHashReport(string Path, string Algorithm, string Hash, long Size);

/// <summary>What <c>disk compare</c> found.</summary>
/// <param name="First">The first file, absolute.</param>
/// <param name="Second">The second file, absolute.</param>
/// <param name="Same">Both hold the same; where one is longer, the rest of it reads as zeroes.</param>
/// <param name="FirstSize">Bytes of the first disk.</param>
/// <param name="SecondSize">Bytes of the second disk.</param>
/// <param name="FirstDifference">Offset of the first byte that differs.</param>
/// <param name="DifferingBytes">How many bytes were found to differ.</param>
/// <param name="Complete">Everything was compared, so that is the whole number.</param>
internal sealed record DiskCompareReport(
    string First, string Second, bool Same, long FirstSize, long SecondSize, long? FirstDifference, long DifferingBytes, bool Complete);

/// <summary>What <c>disk convert --dry-run</c> says.</summary>
/// <param name="Source">The file to read, absolute.</param>
/// <param name="SourceFormat">What it is, as a word of the command line.</param>
/// <param name="Target">The file to make, absolute.</param>
/// <param name="Format">What it is to be, as a word of the command line.</param>
/// <param name="Size">What a guest sees, in bytes.</param>
/// <param name="DataBytes">Bytes to copy; the rest reads as zeroes.</param>
/// <param name="NeededBytes">Bytes the new file may take up.</param>
/// <param name="AvailableBytes">Bytes there are for it.</param>
/// <param name="Fits">There is room enough.</param>
internal sealed record DiskConvertPlan(
    string Source, string SourceFormat, string Target, string Format, long Size, long DataBytes, long NeededBytes, long AvailableBytes,
    bool Fits);

/// <summary>What <c>disk convert</c> says about a file made for another program.</summary>
/// <param name="Path">The file, absolute.</param>
/// <param name="Format">What it is, as a word of the command line.</param>
/// <param name="Size">What a guest sees, in bytes.</param>
/// <param name="AllocatedBytes">Bytes the file occupies.</param>
internal sealed record DiskConvertReport(string Path, string Format, long Size, long AllocatedBytes);

/// <summary>What <c>disk copy</c> says.</summary>
/// <param name="Path">The new file, absolute.</param>
/// <param name="Length">Its bytes.</param>
/// <param name="AllocatedBytes">Bytes it occupies.</param>
/// <param name="Hash">The hash of its bytes, as <c>disk hash --format raw</c> computes it; left out when it was not read back.</param>
internal sealed record DiskCopyReport(string Path, long Length, long AllocatedBytes, string? Hash);

/// <summary>What <c>disk serve</c> says once clients can connect.</summary>
/// <param name="Uri">What a client is given.</param>
/// <param name="Socket">The unix socket, absolute; left out for a port.</param>
/// <param name="Listen">Address and port; left out for a unix socket.</param>
/// <param name="Encrypted">Only TLS is served.</param>
/// <param name="Name">The export's name.</param>
/// <param name="Path">The file, absolute.</param>
/// <param name="Size">What a client sees, in bytes.</param>
/// <param name="ReadOnly">Writes are refused.</param>
internal sealed record DiskServeReport(
    string Uri, string? Socket, string? Listen, bool Encrypted, string Name, string Path, long Size, bool ReadOnly);

/// <summary>What <c>disk resize</c> did or would do.</summary>
/// <param name="Path">The file, absolute.</param>
/// <param name="OldSize">What a guest saw, in bytes.</param>
/// <param name="Size">What it sees now, in bytes.</param>
/// <param name="PartitionTable">"Mbr", "Gpt", "WholeDisk" (a file system without a table) or "None".</param>
/// <param name="LastPartitionEnd">The first byte behind the last partition.</param>
/// <param name="SmallestSize">The smallest size that cuts no partition, in bytes.</param>
/// <param name="BackupTableMoved">The backup of the GPT is at the new end.</param>
/// <param name="Loss">What was cut off, as a sentence.</param>
internal sealed record DiskResizeReport(
    string Path, long OldSize, long Size, Godwit.Storage.Partitions.PartitionScheme PartitionTable, long? LastPartitionEnd, long? SmallestSize,
    bool BackupTableMoved, string? Loss);
