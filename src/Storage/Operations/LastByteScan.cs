namespace Godwit.Storage.Operations;

/// <summary>Finds the last byte of a disk that is not zero. Reads only what may hold data.</summary>
internal static class LastByteScan
{
    private const int Chunk = 1 << 20;

    /// <summary>Looks at everything from an offset to the end.</summary>
    /// <param name="device">The disk.</param>
    /// <param name="from">Where to begin; whole sectors.</param>
    /// <param name="progress">Told now and then.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The offset behind the last byte that is not zero; <paramref name="from"/> when all are.</returns>
    public static async ValueTask<long> RunAsync(
        BlockDevice device, long from, Action<OperationProgress> progress, CancellationToken cancellationToken)
    {
        var buffer = new byte[Chunk];
        var end = from;
        for (var at = from; at < device.Length;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            progress(new OperationProgress("Checking", at - from, device.Length - from));
            var run = await device.GetExtentAsync(at, device.Length - at, cancellationToken).ConfigureAwait(false);
            if (run.ReadsAsZeroes)
            {
                at = run.End;
                continue;
            }

            var part = buffer.AsMemory(0, (int)Math.Min(run.Length, Chunk));
            await device.ReadAsync(at, part, cancellationToken).ConfigureAwait(false);
            if (part.Span.LastIndexOfAnyExcept((byte)0) is >= 0 and var last)
                end = at + last + 1;
            at += part.Length;
        }

        return end;
    }
}
