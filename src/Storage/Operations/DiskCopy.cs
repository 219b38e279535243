using System.Threading.Channels;

namespace Godwit.Storage.Operations;

/// <summary>Copies one device onto another that reads as zeroes; what reads as zeroes is left out.</summary>
/// <remarks>One thread reads ahead while the other writes, in windows of 4 MiB at multiples of 4 MiB; three of them, so 12 MiB of
/// memory whatever the disk. Where zeroes inside data fill a piece of 64 KiB they are not written. Use an instance once.</remarks>
public sealed class DiskCopy
{
    private const int Windows = 3;

    private readonly PaddedDisk _source;
    private readonly BlockDevice _target;
    private readonly CopyOptions _options;
    private readonly Channel<CopyWindow> _free = Channel.CreateUnbounded<CopyWindow>(new() { SingleReader = true, SingleWriter = true });
    private readonly Channel<CopyWindow> _full = Channel.CreateUnbounded<CopyWindow>(new() { SingleReader = true, SingleWriter = true });
    private readonly long _end;
    private readonly StableCopy _stable;
    private CopyProgress _progress;

    /// <summary>Prepares a copy.</summary>
    /// <param name="source">Read only where it holds data; stays the caller's, and nobody writes to it meanwhile.</param>
    /// <param name="target">Reads as zeroes from <see cref="CopyOptions.From"/> on, or holds bytes of the same source there; stays
    /// the caller's.</param>
    /// <param name="options">How.</param>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.InvalidRequest"/>: the target is smaller than the source.</exception>
    public DiskCopy(BlockDevice source, BlockDevice target, CopyOptions options)
    {
        if (target.Length < source.Length)
        {
            throw new StorageException(
                StorageErrorKind.InvalidRequest,
                $"the target's {target.Length} bytes cannot hold the source's {source.Length}",
                target.Path,
                operation: "copy");
        }

        _source = new PaddedDisk(source);
        _target = target;
        _options = options;
        _end = PaddedDisk.RoundUp(source.Length);
        _stable = new StableCopy(target, options);
    }

    /// <summary>Copies everything and flushes the target.</summary>
    /// <param name="cancellationToken">Gives up after the request on its way, or the flush on its way; the target stays as far as it is.</param>
    /// <exception cref="StorageException">A device failed.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        _progress = await CountAsync(cancellationToken).ConfigureAwait(false);
        _options.OnProgress?.Invoke(_progress);
        for (var i = 0; i < Windows; i++)
            _free.Writer.TryWrite(new CopyWindow());
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var reading = Task.Run(() => ReadAllAsync(stop.Token), CancellationToken.None);
        try
        {
            await WriteAllAsync(stop.Token).ConfigureAwait(false);
        }
        finally
        {
            // Both sides have let go of both devices before the caller closes them.
            await stop.CancelAsync().ConfigureAwait(false);
            await reading.ConfigureAwait(false);
            await _stable.EndAsync().ConfigureAwait(false);
        }

        await _target.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Bytes of data of a device: what a copy of it reads.</summary>
    /// <param name="source">The device; stays the caller's.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="StorageException">The device failed.</exception>
    public static ValueTask<long> CountDataAsync(BlockDevice source, CancellationToken cancellationToken) =>
        CountDataAsync(new PaddedDisk(source), 0, source.Length, cancellationToken);

    private static async ValueTask<long> CountDataAsync(PaddedDisk source, long from, long to, CancellationToken cancellationToken)
    {
        long total = 0;
        for (var at = from; at < to;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var run = await source.GetExtentAsync(at, cancellationToken).ConfigureAwait(false);
            total += run.ReadsAsZeroes ? 0 : Math.Min(run.End, to) - at;
            at = run.End;
        }

        return total;
    }

    private async ValueTask<CopyProgress> CountAsync(CancellationToken cancellationToken)
    {
        var before = await CountDataAsync(_source, 0, _options.From, cancellationToken).ConfigureAwait(false);
        return new CopyProgress(before, before + await CountDataAsync(_source, _options.From, _end, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>Never throws: what goes wrong ends the writing side.</summary>
    private async Task ReadAllAsync(CancellationToken cancellationToken)
    {
        try
        {
            for (var at = _options.From; at < _end;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var run = await _source.GetExtentAsync(at, cancellationToken).ConfigureAwait(false);
                if (run.ReadsAsZeroes)
                {
                    at = run.End;
                    continue;
                }

                var window = await _free.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                await window.FillAsync(_source, at, _end, cancellationToken).ConfigureAwait(false);
                at = window.End;
                _full.Writer.TryWrite(window);
            }

            _full.Writer.TryComplete();
        }
        catch (Exception e)
        {
            _full.Writer.TryComplete(e);
        }
    }

    private async Task WriteAllAsync(CancellationToken cancellationToken)
    {
        // Waiting rethrows what ended the reading side as it was.
        while (await _full.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            while (_full.Reader.TryRead(out var window))
            {
                cancellationToken.ThrowIfCancellationRequested();
                await window.WriteAsync(_target, cancellationToken).ConfigureAwait(false);
                var (end, bytes) = (window.End, window.DataBytes);
                _free.Writer.TryWrite(window);
                _progress = _progress with { Done = Math.Min(_progress.Done + bytes, _progress.Total) };
                _options.OnProgress?.Invoke(_progress);
                await _stable.NoteAsync(end, bytes, cancellationToken).ConfigureAwait(false);
            }
        }
    }
}
