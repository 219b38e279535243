using Godwit.Benchmarks.Nbd;

namespace Godwit.Benchmarks.Mirror;

/// <summary>A server of one raw disk, export "disk", that can build a mirror of it while it is in use.</summary>
internal interface IMirroredServer : IAsyncDisposable
{
    /// <summary>"godwit" or "qemu".</summary>
    string Name { get; }

    /// <summary>The server itself.</summary>
    ServerProcess Server { get; }

    /// <summary>Starts a mirror.</summary>
    /// <returns>The file that is being filled.</returns>
    Task<string> StartAsync(CancellationToken cancellationToken);

    /// <summary>Whether everything has been copied.</summary>
    Task<bool> IsInSyncAsync(CancellationToken cancellationToken);

    /// <summary>Gives the mirror up and removes its file.</summary>
    Task CancelAsync(CancellationToken cancellationToken);
}
