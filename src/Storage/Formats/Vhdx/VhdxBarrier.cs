using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>The one place that flushes the file of a disk being written, and that knows what has become stable by it.</summary>
/// <remarks>Any number of flushes may run at the same time; each vouches for what was complete when it began.</remarks>
/// <param name="file">The file.</param>
/// <param name="fault">Is told of a failed flush.</param>
/// <param name="ring">Is told what has become stable.</param>
/// <param name="space">Is told what has become stable.</param>
/// <param name="stableLength">A length known to be stable: of the log that is continued, else 0, because the last session may have been
/// killed with its growth not yet stable.</param>
internal sealed class VhdxBarrier(IStorageFile file, VhdxFault fault, VhdxLogRing ring, VhdxSpace space, long stableLength)
{
    private long _stableLength = stableLength;

    /// <summary>Length the file has after any power cut.</summary>
    public long StableLength => Volatile.Read(ref _stableLength);

    /// <summary>Every place handed out at the end of the file is inside <see cref="StableLength"/> when this returns.</summary>
    /// <exception cref="StorageException">As for <see cref="FlushAsync"/>.</exception>
    public ValueTask CoverGrowthAsync() => space.GrownTo <= StableLength ? ValueTask.CompletedTask : FlushAsync();

    /// <summary>The file was cut: no log entry may ask for more than this any longer.</summary>
    public void NoteCut(long length) => Volatile.Write(ref _stableLength, Math.Min(_stableLength, length));

    /// <summary>Flushes. A failure is final: the kernel may have dropped pages, so nothing written since is known to be there.</summary>
    /// <exception cref="StorageException">The flush failed; the disk accepts no more changes.</exception>
    public async ValueTask FlushAsync()
    {
        var log = ring.TakeMark();
        var punched = space.MarkPunched();
        var length = file.Length;
        try
        {
            await file.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (StorageException failure)
        {
            fault.Set(failure);
            throw;
        }

        // The file shrinks only in CutAsync, with nobody else at work, so any flush that has completed since vouches for at least this much.
        var known = StableLength;
        while (known < length)
        {
            var seen = Interlocked.CompareExchange(ref _stableLength, length, known);
            known = seen == known ? length : seen;
        }

        ring.MarkStable(log);
        space.MarkStable(punched, log.Sequence);
    }
}
