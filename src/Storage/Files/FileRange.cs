namespace Godwit.Storage.Files;

/// <summary>A stretch of the file.</summary>
internal readonly record struct FileRange(long Start, long Length)
{
    public long End => Start + Length;
}
