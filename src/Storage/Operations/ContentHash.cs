using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Godwit.Storage.Operations;

/// <summary>A hash of what a disk holds, the same whatever format, block size or sector size it is kept in.</summary>
/// <remarks>SHA-256 over a mark, the size, and the SHA-256 of every 1 MiB piece; docs/reference/content-hash.md has the exact
/// definition. What reads as zeroes is not read. Other threads hash while this one reads ahead; 8 MiB of memory. Thread-safe.</remarks>
public static class ContentHash
{
    /// <summary>Bytes of a piece.</summary>
    public const int PieceBytes = 1 << 20;

    /// <summary>The name of the definition; another one would have another name.</summary>
    public const string Algorithm = "godwit-content-hash-1";

    private const int Lanes = 8;
    private static readonly byte[] ZeroPiece = SHA256.HashData(new byte[PieceBytes]);

    // An empty disk of 64 TiB has 64 million of them.
    private static readonly byte[] ManyZeroPieces = [.. Enumerable.Repeat(ZeroPiece, 1024).SelectMany(static piece => piece)];

    /// <summary>Computes the hash.</summary>
    /// <param name="device">The disk; stays the caller's, and nobody writes to it meanwhile.</param>
    /// <param name="onProgress">Is told how far it is; null for nobody.</param>
    /// <param name="cancellationToken">Gives up after the request on its way.</param>
    /// <returns>32 bytes.</returns>
    /// <exception cref="StorageException">The device failed.</exception>
    public static async Task<byte[]> ComputeAsync(
        BlockDevice device, Action<CopyProgress>? onProgress, CancellationToken cancellationToken)
    {
        var progress = new CopyProgress(
            0, onProgress is null ? 0 : await DiskCopy.CountDataAsync(device, cancellationToken).ConfigureAwait(false));
        using var root = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        root.AppendData(Start(device.Length));
        var lanes = new PieceLane?[Lanes];
        var source = new PaddedDisk(device);
        var next = 0;
        for (long offset = 0; offset < device.Length; offset += PieceBytes, next = (next + 1) % Lanes)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var zeroes = await ZeroPiecesAsync(source, offset, cancellationToken).ConfigureAwait(false);
            if (zeroes >= Lanes)
            {
                await AppendLanesAsync(lanes, next, root).ConfigureAwait(false);
                AppendZeroPieces(root, zeroes);
                offset += (zeroes - 1) * PieceBytes;
                continue;
            }

            var lane = lanes[next] ??= new PieceLane();
            await lane.AppendToAsync(root).ConfigureAwait(false);
            progress = progress with { Done = progress.Done + await lane.StartAsync(source, offset, cancellationToken).ConfigureAwait(false) };
            onProgress?.Invoke(progress with { Done = Math.Min(progress.Done, progress.Total) });
        }

        await AppendLanesAsync(lanes, next, root).ConfigureAwait(false);
        return root.GetHashAndReset();
    }

    /// <summary>Whole pieces of zeroes that begin here; the last piece of the disk counts as a whole one.</summary>
    private static async ValueTask<long> ZeroPiecesAsync(PaddedDisk source, long offset, CancellationToken cancellationToken)
    {
        var run = await source.GetExtentAsync(offset, cancellationToken).ConfigureAwait(false);
        if (!run.ReadsAsZeroes)
            return 0;
        var left = (source.Length - offset + PieceBytes - 1) / PieceBytes;
        return Math.Min((run.End - offset) / PieceBytes, left);
    }

    /// <summary>Adds what has been begun, in order: the lane that would be used next has waited longest.</summary>
    private static async ValueTask AppendLanesAsync(PieceLane?[] lanes, int next, IncrementalHash root)
    {
        for (var i = 0; i < Lanes; i++)
        {
            if (lanes[(next + i) % Lanes] is PieceLane begun)
                await begun.AppendToAsync(root).ConfigureAwait(false);
        }
    }

    private static void AppendZeroPieces(IncrementalHash root, long count)
    {
        for (; count > 0; count -= ManyZeroPieces.Length / ZeroPiece.Length)
            root.AppendData(ManyZeroPieces.AsSpan(0, (int)Math.Min(ManyZeroPieces.Length, count * ZeroPiece.Length)));
    }

    private static byte[] Start(long size)
    {
        var start = "godwit-content-hash-1\n\0\0\0\0\0\0\0\0"u8.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(start.AsSpan(start.Length - sizeof(long)), size);
        return start;
    }

    /// <summary>A buffer for one piece, and the hash on its way.</summary>
    private sealed class PieceLane
    {
        private byte[]? _bytes;
        private Task<byte[]>? _hash;

        /// <summary>Reads a piece and begins to hash it; returns the bytes of data read.</summary>
        public async ValueTask<long> StartAsync(PaddedDisk source, long offset, CancellationToken cancellationToken)
        {
            long data = 0;
            var end = offset + PieceBytes;
            for (var at = offset; at < end;)
            {
                var run = await source.GetExtentAsync(at, cancellationToken).ConfigureAwait(false);
                var length = (int)(Math.Min(run.End, end) - at);
                if (!run.ReadsAsZeroes)
                {
                    _bytes ??= GC.AllocateUninitializedArray<byte>(PieceBytes, pinned: true);
                    if (data == 0)
                        _bytes.AsSpan(0, (int)(at - offset)).Clear();
                    await source.ReadAsync(at, _bytes.AsMemory((int)(at - offset), length), cancellationToken).ConfigureAwait(false);
                    data += length;
                }
                else if (data > 0)
                {
                    _bytes.AsSpan((int)(at - offset), length).Clear();
                }

                at += length;
            }

            _hash = data == 0 ? Task.FromResult(ZeroPiece) : Task.Run(Hash, CancellationToken.None);
            return data;
        }

        /// <summary>Adds the hash of the piece that was begun, if one was.</summary>
        public async ValueTask AppendToAsync(IncrementalHash root)
        {
            if (_hash is not null)
                root.AppendData(await _hash.ConfigureAwait(false));
            _hash = null;
        }

        private byte[] Hash() => _bytes.AsSpan().ContainsAnyExcept((byte)0) ? SHA256.HashData(_bytes!) : ZeroPiece;
    }
}
