namespace Godwit.Storage.FileSystems;

/// <summary>Whether what a partition's file system says about its free space is used.</summary>
/// <param name="Number">The partition as Linux counts; 0 for a file system on the whole disk.</param>
/// <param name="Start">First byte on the disk.</param>
/// <param name="Length">Bytes.</param>
/// <param name="FileSystem">What is in it; null when that is not known.</param>
/// <param name="Reason">Why it is not used, in a sentence; null when it is.</param>
public sealed record PartitionUse(int Number, long Start, long Length, string? FileSystem, string? Reason);
