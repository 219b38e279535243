namespace Godwit.Storage.Operations;

/// <summary>The copying of a layer into its parent beneath a guest.</summary>
public interface ILayerMerge
{
    /// <summary>Bytes of data that are in the parent by now, and all there are; zero until they are counted. From any thread.</summary>
    (long Done, long Total) Progress { get; }

    /// <summary>Copies everything and flushes the parent. One run per object.</summary>
    /// <param name="cancellationToken">Stops; the chain reads as before.</param>
    /// <exception cref="StorageException">A file failed or its file system is full; Closed: this computer does not own the disk any more.</exception>
    Task RunAsync(CancellationToken cancellationToken);
}
