namespace Godwit.Storage.Operations;

/// <summary>A device in whole granules, with zeroes behind its end, so that two devices of other sector sizes and lengths can be
/// walked in step. For one reader at a time: the last answer about what is where is remembered.</summary>
/// <param name="device">The device; stays the caller's.</param>
internal sealed class PaddedDisk(BlockDevice device)
{
    /// <summary>The largest sector there is, in bytes: every offset and length is a multiple of it.</summary>
    public const int Granule = 4096;

    private Extent _run;

    /// <summary>Bytes the device has; behind them there are only zeroes.</summary>
    public long Length => device.Length;

    /// <summary>A length, or an offset, in whole granules.</summary>
    public static long RoundUp(long bytes) => (bytes + Granule - 1) & -Granule;

    /// <summary>What an offset holds, up to the end of its run. Runs of one kind may follow each other; a run without data that
    /// reaches the end of the device goes on for ever.</summary>
    public async ValueTask<Extent> GetExtentAsync(long offset, CancellationToken cancellationToken)
    {
        if (offset < _run.Offset || offset >= _run.End)
            _run = await FindAsync(offset, cancellationToken).ConfigureAwait(false);
        return _run with { Offset = offset, Length = _run.End - offset };
    }

    /// <summary>Reads; the buffer is whole granules.</summary>
    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var inside = (int)Math.Clamp(device.Length - offset, 0, buffer.Length);
        buffer.Span[inside..].Clear();
        return device.ReadAsync(Math.Min(offset, device.Length), buffer[..inside], cancellationToken);
    }

    private async ValueTask<Extent> FindAsync(long offset, CancellationToken cancellationToken)
    {
        var length = device.Length;
        if (offset >= length)
            return new Extent(offset, long.MaxValue - offset, ExtentKind.Hole);
        var found = await device.GetExtentAsync(offset, length - offset, cancellationToken).ConfigureAwait(false);
        if (!found.ReadsAsZeroes)
            return new Extent(offset, RoundUp(found.Length), ExtentKind.Data);
        if (found.End == length)
            return new Extent(offset, long.MaxValue - offset, found.Kind);

        // A granule in which data begins is data.
        var whole = found.Length & -Granule;
        return whole > 0 ? new Extent(offset, whole, found.Kind) : new Extent(offset, Granule, ExtentKind.Data);
    }
}
