using Godwit.Storage;

namespace Godwit.Nbd.Remote;

/// <summary>Who we are to the other host, asked for anew each time a link is made: certificates are renewed while a worker runs.</summary>
/// <remarks>One call at a time, while no link stands that uses what was read before.</remarks>
internal sealed class RenewedIdentity(RemoteDiskOptions options) : IDisposable
{
    private NbdTlsIdentity? _current;
    private string? _told;

    /// <summary>The identity to use now; null for a link that is not encrypted.</summary>
    /// <exception cref="StorageException">It cannot be read, and there is none from before.</exception>
    public NbdTlsIdentity? Read()
    {
        if (options.Tls is not { } read)
            return null;
        try
        {
            var next = read();
            _current?.Dispose();
            (_current, _told) = (next, null);
        }
        catch (StorageException e) when (_current is not null)
        {
            // Half a renewal, perhaps: said once, however often it is tried.
            if (e.Message != _told)
                options.OnChange?.Invoke($"the certificates cannot be read again, those of before are used: {e.Message}");
            _told = e.Message;
        }

        return _current;
    }

    public void Dispose() => _current?.Dispose();
}
