using Godwit.Storage;

namespace Godwit.Nbd.Remote;

/// <summary>The connections of one epoch. They break together: what one of them lost cannot be told from what another did.</summary>
internal sealed class Link : IAsyncDisposable
{
    private static readonly TimeSpan PatienceAtTheEnd = TimeSpan.FromSeconds(3);

    private readonly NbdDevice[] _devices;
    private readonly ITimer _timer;
    private readonly Action<Link, StorageException> _broken;
    private long _movedBefore = -1;
    private int _requestsBefore;
    private int _turn;

    private Link(NbdDevice[] devices, RemoteDiskOptions options, Action<Link, StorageException> broken)
    {
        _devices = devices;
        _broken = broken;
        _timer = options.Time.CreateTimer(static link => ((Link)link!).Look(), this, options.SilenceLimit, options.SilenceLimit);
    }

    /// <summary>What the server has.</summary>
    public NbdDevice First => _devices[0];

    /// <summary>Makes every connection.</summary>
    /// <param name="options">Where and how.</param>
    /// <param name="identity">Who we are; null: in the clear. Stays the caller's.</param>
    /// <param name="epoch">The writer's epoch: what earlier ones had asked for has ended when this returns.</param>
    /// <param name="broken">Is told, once or more often, that the link is broken.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">It cannot be made now; <see cref="StorageErrorKind.Unreachable"/> also for a server that does not answer
    /// within <see cref="RemoteDiskOptions.ConnectLimit"/>.</exception>
    public static async Task<Link> MakeAsync(
        RemoteDiskOptions options, NbdTlsIdentity? identity, long epoch, Action<Link, StorageException> broken, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(options.ConnectLimit, options.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await ConnectAsync(options, identity, epoch, broken, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new StorageException(
                StorageErrorKind.Unreachable, $"the server has not answered within {options.ConnectLimit.TotalSeconds:0.#} s",
                options.Path, operation: "connect", inner: e);
        }
    }

    private static async Task<Link> ConnectAsync(
        RemoteDiskOptions options, NbdTlsIdentity? identity, long epoch, Action<Link, StorageException> broken, CancellationToken cancellationToken)
    {
        var how = new NbdClientOptions { Tls = identity, ServerName = options.ServerName, WriterEpoch = epoch };
        var devices = new List<NbdDevice>();
        try
        {
            do
            {
                devices.Add(await NbdDevice.ConnectAsync(options.Server, options.Export, how, cancellationToken).ConfigureAwait(false));
            }
            while (devices.Count < options.Connections && devices[0].CanMultiConn);

            return new Link([.. devices], options, broken);
        }
        catch
        {
            await Task.WhenAll(devices.Select(CloseAsync)).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>The connection with the fewest requests on it.</summary>
    public NbdDevice Choose()
    {
        // Starts at another one each time, so that requests that come one by one do not all take the first.
        var start = (int)((uint)Interlocked.Increment(ref _turn) % (uint)_devices.Length);
        var best = _devices[start];
        for (var i = 1; i < _devices.Length; i++)
        {
            var other = _devices[(start + i) % _devices.Length];
            if (other.Connection.Requests < best.Connection.Requests)
                best = other;
        }

        return best;
    }

    /// <summary>Ends every connection at once, without a goodbye.</summary>
    public void Cut(StorageException reason)
    {
        _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        foreach (var device in _devices)
            device.Connection.Die(reason);
    }

    /// <summary>Flushes, says goodbye and closes.</summary>
    public async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync().ConfigureAwait(false);
        await Task.WhenAll(_devices.Select(CloseAsync)).ConfigureAwait(false);
    }

    /// <summary>A server that does not answer the flush and goodbye any more is left without them.</summary>
    private static async Task CloseAsync(NbdDevice device)
    {
        var closing = device.DisposeAsync().AsTask();
        try
        {
            await closing.WaitAsync(PatienceAtTheEnd).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            device.Connection.Die(new StorageException(StorageErrorKind.Unreachable, "the server is silent", device.Path));
            await closing.ConfigureAwait(false);
        }
    }

    private void Look()
    {
        var (moved, requests) = (0L, 0);
        foreach (var device in _devices)
        {
            if (device.Connection.Death is { } death)
            {
                // Nobody may have asked for anything since; the owner has to know all the same.
                _broken(this, death);
                return;
            }

            moved += device.Connection.Moved;
            requests += device.Connection.Requests;
        }

        // One that was not there the last time may just be about to be sent, after a time without any.
        if (requests > 0 && _requestsBefore > 0 && moved == _movedBefore)
            _broken(this, new StorageException(StorageErrorKind.Unreachable, "the server has been silent for too long", First.Path));
        (_movedBefore, _requestsBefore) = (moved, requests);
    }
}
