using Godwit.Api;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Decorators;
using Godwit.Storage.Formats;
using Godwit.Storage.Mirror;
using Godwit.Worker.Mirrors;
using Godwit.Worker.Serving;

namespace Godwit.Worker.Layers;

/// <summary>The open chain of one served disk, and how it is closed and opened again beneath requests that wait.</summary>
/// <remarks>The caller runs one method at a time; only <see cref="Chain"/> may be read at any time.</remarks>
internal sealed class DiskLayers
{
    /// <summary>How long requests under way may take to end before the guest's are let go on.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan PatienceWithReaders = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(2);
    private volatile DiskChain _chain;

    /// <summary>Creates it for a disk that has just been opened.</summary>
    internal DiskLayers(MirrorContext context, SwitchableDisk device, DiskChain chain, Fence fence)
    {
        Context = context;
        Device = device;
        Fence = fence;
        _chain = chain;
    }

    /// <summary>What is shared about the disk.</summary>
    internal MirrorContext Context { get; }

    /// <summary>What guests' requests come to.</summary>
    internal SwitchableDisk Device { get; }

    /// <summary>What everything that is written passes.</summary>
    internal Fence Fence { get; }

    /// <summary>The chain as it is served now.</summary>
    internal DiskChain Chain => _chain;

    /// <summary>Told of another chain.</summary>
    internal Action<DiskChain>? Changed { get; set; }

    /// <summary>How a chain of this disk is opened.</summary>
    /// <param name="context">What is shared about the disk.</param>
    /// <param name="format">The leaf's.</param>
    /// <param name="writable">A layer below the leaf that is to be writable.</param>
    internal static ChainOptions Options(MirrorContext context, ImageFormat? format, string? writable = null)
    {
        var disk = context.Entry.Disk;
        return new ChainOptions
        {
            Format = format,
            ReadOnly = disk.ReadOnly,
            ParentFolders = context.ParentFolders,
            Cache = disk.Cache.ToStorage(),
            WritableLayer = writable,
        };
    }

    /// <summary>Another chain serves the guest.</summary>
    internal void Become(DiskChain chain)
    {
        _chain = chain;
        Changed?.Invoke(chain);
    }

    /// <summary>Closes the chain, does something to its files, and opens it again, while requests wait.</summary>
    /// <param name="whileClosed">What to do; null for nothing.</param>
    /// <param name="writable">A layer below the leaf that is to be writable from now on.</param>
    /// <exception cref="StorageException">It could not be done, or the layer could not be opened for writing. The disk is served again, with all its layers
    /// but the leaf for reading only.</exception>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Busy"/>: a request took too long. Nothing was done.</exception>
    internal Task RebuildAsync(Func<Task>? whileClosed, string? writable) =>
        RebuildAsync(whileClosed, failure => failure is null ? new Reopening(writable) : default);

    /// <summary>The same, and whoever asks decides how the chain is opened again.</summary>
    /// <param name="whileClosed">What to do; null for nothing.</param>
    /// <param name="reopen">Gets what went wrong, null for nothing, and says how to open the chain that worker.json names by then.</param>
    /// <inheritdoc cref="RebuildAsync(Func{Task}?, string?)"/>
    internal async Task RebuildAsync(Func<Task>? whileClosed, Func<Exception?, Reopening> reopen)
    {
        await Device.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        var asked = Context.Time.GetTimestamp();
        Exception? failure = null;
        await WithPatienceAsync(Context, token => Device.ReplaceAsync(
            async (current, _) =>
            {
                await current.FlushAsync(CancellationToken.None).ConfigureAwait(false);
                try
                {
                    await current.DisposeAsync().ConfigureAwait(false);
                    if (whileClosed is not null)
                        await whileClosed().ConfigureAwait(false);
                }
                catch (Exception e)
                {
                    // Whatever it was: the guest's requests come to an open disk.
                    failure = e;
                }

                var how = reopen(failure);
                (var chain, var refused) = await OpenAgainAsync(how.Writable).ConfigureAwait(false);
                failure ??= refused;
                Become(chain);
                return refused is null && how.Over is { } over ? over(chain) : chain.Device;
            },
            token)).ConfigureAwait(false);
        var waited = Context.Time.GetElapsedTime(asked);
        Context.Log.Note($"{Context.Name}: its chain was opened again; requests waited {waited.TotalMilliseconds:F1} ms at most");
        if (failure is not null)
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
    }

    /// <summary>Opens the chain that worker.json names, while requests wait. Where that is impossible the process ends: the next one tries as long as it
    /// takes, and requests that were not answered are sent again.</summary>
    internal async Task<(DiskChain Chain, StorageException? Refused)> OpenAgainAsync(string? writable)
    {
        StorageException? refused = null;
        var start = Context.Time.GetTimestamp();
        while (true)
        {
            try
            {
                var disk = Context.Entry.Disk;
                var chain = await DiskChain.OpenAsync(
                    disk.Path, Options(Context, disk.Format?.ToStorage(), refused is null ? writable : null), CancellationToken.None).ConfigureAwait(false);
                Device.CheckReplacement(chain.Device);
                return (chain, refused);
            }
            catch (StorageException e) when (writable is not null && refused is null)
            {
                refused = e;
            }
            catch (StorageException e) when (e.Kind == StorageErrorKind.InUse && Context.Time.GetElapsedTime(start) < PatienceWithReaders)
            {
                // Somebody is just reading the file: for a moment nobody had it open.
                await Task.Delay(Pause, Context.Time, CancellationToken.None).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                Context.Log.Error($"{Context.Name}: cannot be opened again ({e.Message}); starting again");
                Environment.FailFast("a disk that was served cannot be opened again");
            }
        }
    }

    /// <summary>Waits for requests under way, but not for ever: the guest's wait meanwhile.</summary>
    internal static async Task WithPatienceAsync(MirrorContext context, Func<CancellationToken, ValueTask> wait)
    {
        using var limit = new CancellationTokenSource(Patience, context.Time);
        try
        {
            await wait(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e)
        {
            throw new GodwitException(
                new Problem(ErrorCode.Busy, $"requests of disk {context.Name} took longer than {Patience.TotalSeconds:0} s", "try again"), e);
        }
    }

    /// <summary>How a chain is opened again.</summary>
    /// <param name="Writable">A layer below the leaf that is to be writable.</param>
    /// <param name="Over">Makes what serves the guest, and owns the chain; null for the chain itself.</param>
    internal readonly record struct Reopening(string? Writable, Func<DiskChain, BlockDevice>? Over = null);
}
