using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Storage.Operations;

namespace Godwit.Storage.Repair;

/// <summary>Writes the changes of a draft into a file, in an order that leaves something repairable at every instant: the body
/// first, then the structures at the front that lead to it, from the inner ones to the outer ones, with a flush after each.</summary>
/// <param name="draft">The draft.</param>
/// <param name="target">The file.</param>
/// <param name="chunk">Bytes to write at once.</param>
/// <param name="progress">Told now and then.</param>
internal sealed class DraftWrite(DraftFile draft, IStorageFile target, int chunk, Action<OperationProgress> progress)
{
    private readonly byte[] _buffer = new byte[chunk];
    private long _done;
    private long _total;

    /// <summary>Writes and flushes everything, the length included. Cannot be stopped.</summary>
    public async ValueTask RunAsync(RangeSet changes)
    {
        _total = changes.All.Sum(static range => range.Length);
        if (draft.Length > target.Length)
            await target.SetLengthAsync(draft.Length, CancellationToken.None).ConfigureAwait(false);
        foreach (var range in changes.All)
        {
            if (range.End > VhdxFormat.MiB)
                await WriteAsync(Math.Max(range.Start, VhdxFormat.MiB), range.End).ConfigureAwait(false);
        }

        await target.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        foreach (var range in changes.All.Where(static range => range.Start < VhdxFormat.MiB).Reverse())
        {
            await WriteAsync(range.Start, Math.Min(range.End, VhdxFormat.MiB)).ConfigureAwait(false);
            await target.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }

        if (draft.Length < target.Length)
            await target.SetLengthAsync(draft.Length, CancellationToken.None).ConfigureAwait(false);
        await target.FlushAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private async ValueTask WriteAsync(long at, long end)
    {
        while (at < end)
        {
            var run = await draft.GetExtentAsync(at, end - at, CancellationToken.None).ConfigureAwait(false);
            var length = run.ReadsAsZeroes ? run.Length : Math.Min(run.Length, _buffer.Length);
            if (run.ReadsAsZeroes)
            {
                await target.PunchHoleAsync(at, length, CancellationToken.None).ConfigureAwait(false);
            }
            else
            {
                var part = _buffer.AsMemory(0, (int)length);
                await draft.ReadAsync(at, part, CancellationToken.None).ConfigureAwait(false);
                await target.WriteAsync(at, part, CancellationToken.None).ConfigureAwait(false);
            }

            at += length;
            _done += length;
            progress(new OperationProgress("Repairing", _done, _total));
        }
    }
}
