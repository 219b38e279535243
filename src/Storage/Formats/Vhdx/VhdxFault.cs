using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Remembers the failure after which nothing more may be written, because what the file holds is not known any more.</summary>
/// <param name="file">Named in the messages.</param>
internal sealed class VhdxFault(IStorageFile file)
{
    private StorageException? _cause;

    public bool IsSet => Volatile.Read(ref _cause) is not null;

    public void Set(StorageException cause) => Interlocked.CompareExchange(ref _cause, cause, null);

    public void ThrowIfSet()
    {
        if (Volatile.Read(ref _cause) is StorageException cause)
            throw Closed(cause);
    }

    private StorageException Closed(StorageException cause) => new(
        StorageErrorKind.Closed,
        $"an earlier write failed ({cause.Reason}); nothing more is written until the disk is opened again",
        file.Path,
        cause.Offset,
        inner: cause);
}
