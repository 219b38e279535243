namespace Godwit.Storage.Files;

/// <summary>
/// A file as the formats see it: bytes at offsets, and an honest flush. The seam for every crash and fault test.
/// </summary>
/// <remarks>
/// All members may be called at the same time from any thread. What a completed call changed survives the death of this
/// process; only <see cref="FlushAsync"/> makes it survive a power cut, and until then any part of it, in any order and
/// torn at 512-byte sectors, may be what a power cut leaves. Buffers belong to the file until the task completes.
/// Failures are <see cref="StorageException"/>s that name path and offset.
/// </remarks>
public interface IStorageFile : IAsyncDisposable
{
    /// <summary>The path it was opened by, for messages.</summary>
    string Path { get; }

    /// <summary>Size in bytes. Answered from memory: only this opening changes it.</summary>
    long Length { get; }

    /// <summary>Opened for reading only.</summary>
    bool IsReadOnly { get; }

    /// <summary>Reads exactly <paramref name="buffer"/>; past the end is <see cref="StorageErrorKind.Corrupt"/>.</summary>
    ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Writes all of <paramref name="buffer"/>, growing the file when it reaches past the end.</summary>
    ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Makes every completed change, the length included, survive a power cut.</summary>
    ValueTask FlushAsync(CancellationToken cancellationToken);

    /// <summary>Cuts the file or grows it; grown space is a hole that reads as zeroes.</summary>
    ValueTask SetLengthAsync(long length, CancellationToken cancellationToken);

    /// <summary>Makes a range inside the file read as zeroes and gives its space back where the file system can
    /// (else writes zeroes). The length stays.</summary>
    ValueTask PunchHoleAsync(long offset, long length, CancellationToken cancellationToken);

    /// <summary>Makes a range inside the file read as zeroes with its space reserved.</summary>
    ValueTask AllocateZeroesAsync(long offset, long length, CancellationToken cancellationToken);

    /// <summary>Tells whether the start of a range inside the file is data or a hole: the run at
    /// <paramref name="offset"/>, cut to <paramref name="length"/>. Everything is data where the file system cannot tell.</summary>
    ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken);

    /// <summary>Moves bytes into a pipe without copying them; see <see cref="BlockDevice.TryMoveToPipe"/>.</summary>
    /// <returns>Bytes moved; fewer than asked for where that cannot be done at once.</returns>
    int TryMoveToPipe(long offset, int length, int pipe) => 0;

    /// <summary>Writes bytes of a pipe inside the file without copying them first; see <see cref="BlockDevice.TryMoveFromPipe"/>.</summary>
    /// <returns>False where that cannot be done at once; nothing has been taken then.</returns>
    bool TryMoveFromPipe(long offset, int length, int pipe) => false;
}
