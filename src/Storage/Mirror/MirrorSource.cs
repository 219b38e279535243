using System.Runtime.CompilerServices;

namespace Godwit.Storage.Mirror;

/// <summary>The source as the background copy sees it. Its failures end the copy, unlike the target's, so they carry a type
/// of their own.</summary>
internal sealed class MirrorSource(BlockDevice source)
{
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            await source.ReadAsync(offset, buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            throw Failed(offset, buffer.Length, e);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken)
    {
        try
        {
            return await source.GetExtentAsync(offset, length, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            throw Failed(offset, length, e);
        }
    }

    private MirrorSourceException Failed(long offset, long length, IOException e) => new(new StorageException(
        (e as StorageException)?.Kind ?? StorageErrorKind.IoFailed,
        $"the copy stopped because {length} bytes of the source cannot be read ({e.Message})", source.Path, offset, "copy", e));
}

/// <summary>The source could not be read.</summary>
internal sealed class MirrorSourceException(StorageException failure) : Exception(failure.Message, failure)
{
    public StorageException Failure => failure;
}
