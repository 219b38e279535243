using System.Net.Sockets;
using Godwit.Api;
using Godwit.Nbd;
using Godwit.Storage;

namespace Godwit.Cli.Disks.Foreign;

/// <summary>A disk in a format that qemu-nbd reads for us: served read-only on a private socket, so that no copy of it is needed.</summary>
internal sealed class ForeignSource : IAsyncDisposable
{
    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly PrivateFolder _folder = new();
    private QemuTool? _server;
    private NbdDevice? _device;

    private ForeignSource()
    {
    }

    /// <summary>What it holds.</summary>
    public BlockDevice Device => _device!;

    /// <summary>Opens a file.</summary>
    /// <param name="path">The file, absolute.</param>
    /// <param name="format">"qcow2" or "vmdk".</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="GodwitException">qemu-nbd is not installed, or cannot read the file.</exception>
    public static async Task<ForeignSource> OpenAsync(string path, string format, CancellationToken cancellationToken)
    {
        var source = new ForeignSource();
        try
        {
            await source.ConnectAsync(path, format, cancellationToken);
            return source;
        }
        catch
        {
            await source.DisposeAsync();
            throw;
        }
    }

    /// <summary>Does something with the disk.</summary>
    /// <exception cref="GodwitException">qemu-nbd has ended in the middle of it, with what it said.</exception>
    public async Task<T> UseAsync<T>(Func<BlockDevice, Task<T>> use, CancellationToken cancellationToken)
    {
        // An answer that stops in the middle cannot be given up, only be cut off with the program that sends it.
        using var stop = cancellationToken.UnsafeRegister(_ => _server!.Kill(), null);
        try
        {
            return await use(Device);
        }
        catch (StorageException e) when (e.Path == Device.Path)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (await _server!.EndsWithinAsync(Farewell, cancellationToken))
                throw await _server.FailedAsync(cancellationToken);
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_device is not null)
            await _device.DisposeAsync();
        _server?.Dispose();
        _folder.Dispose();
    }

    private async Task ConnectAsync(string path, string format, CancellationToken cancellationToken)
    {
        var socket = _folder.File("nbd");
        _server = QemuTool.Start("qemu-nbd", ["--read-only", $"--format={format}", $"--socket={socket}", "--shared=1", path]);
        for (var waited = TimeSpan.Zero; ; waited += Pause)
        {
            if (_server.HasEnded)
                throw await _server.FailedAsync(cancellationToken);
            if (waited > Patience)
                throw new GodwitException(ErrorCode.IoFailed, $"qemu-nbd does not begin to serve {path}", "try again when the computer is less busy");
            await Task.Delay(Pause, cancellationToken);
            if (!Path.Exists(socket))
                continue;
            try
            {
                _device = await NbdDevice.ConnectAsync(new UnixDomainSocketEndPoint(socket), "", cancellationToken);
                return;
            }
            catch (StorageException e) when (e.Kind == StorageErrorKind.NotFound)
            {
                // Bound but not listening yet.
            }
            catch (StorageException)
            {
                // It listens before it has opened the file: its own words say more than a cut connection.
                if (await _server.EndsWithinAsync(Farewell, cancellationToken))
                    throw await _server.FailedAsync(cancellationToken);
                throw;
            }
        }
    }
}
