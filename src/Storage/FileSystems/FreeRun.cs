namespace Godwit.Storage.FileSystems;

/// <summary>A stretch that a file system says is free. Offsets are bytes; empty when there is none.</summary>
internal readonly record struct FreeRun(long Start, long Length)
{
    public long End => Start + Length;
}
