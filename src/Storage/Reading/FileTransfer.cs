namespace Godwit.Storage.Reading;

/// <summary>What is to be moved between a file and memory.</summary>
/// <param name="IsWrite">To the file.</param>
/// <param name="Offset">First byte in the file.</param>
/// <param name="Length">Bytes to ask the kernel for.</param>
/// <param name="Skipped">Bytes before the first one that is wanted.</param>
/// <param name="Buffer">The caller's memory; written to when this is a read.</param>
/// <param name="ThroughOwnMemory">The caller's memory is not where the disk wants it: the request brings its own.</param>
/// <param name="Block">What a request that has been carried out in part can be gone on with at: a power of two.</param>
internal readonly record struct FileTransfer(
    bool IsWrite, long Offset, int Length, int Skipped, ReadOnlyMemory<byte> Buffer, bool ThroughOwnMemory, int Block)
{
    /// <summary>Bytes after which it is done: a last block may reach past the end of the file.</summary>
    public int Needed => IsWrite ? Length : Skipped + Buffer.Length;

    /// <summary>For messages.</summary>
    public string Name => IsWrite ? "write" : "read";
}
