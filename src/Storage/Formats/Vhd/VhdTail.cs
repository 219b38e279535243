using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>The end of a dynamic or differencing disk's file: the footer, and the room for blocks in front of it.</summary>
/// <remarks>
/// The plain way to add a block puts it where the footer is; whoever finds the file a moment later has no footer, or a
/// footer's bytes in a block. Here the footer moves ahead by many blocks at a time, over a hole, and blocks are handed out
/// only when the new footer is stable. The old one is left where it is, outside of any place.
/// </remarks>
internal sealed class VhdTail : IDisposable
{
    private readonly IStorageFile _file;
    private readonly VhdSession _session;
    private readonly VhdPlaces _places;
    private readonly long _headroom;
    private readonly SemaphoreSlim _moving = new(1, 1);
    private VhdFooter _footer;
    private long _end;

    public VhdTail(IStorageFile file, VhdFooters footers, VhdSession session, VhdPlaces places, long headroom)
    {
        _file = file;
        _footer = footers.Current;
        _end = footers.End;
        _session = session;
        _places = places;
        _headroom = headroom;
    }

    /// <summary>Where the footer is.</summary>
    public long End => Volatile.Read(ref _end);

    /// <summary>A place for one block that reads as zeroes, after a power cut too.</summary>
    /// <exception cref="StorageException">NoSpace, or whatever growing the file failed with. The disk is as before then.</exception>
    public async ValueTask<long> AllocateAsync(VhdBlocks blocks, long wanted, CancellationToken cancellationToken)
    {
        if (_places.TakeClean() is long clean)
            return clean;
        await _moving.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            while (true)
            {
                if (_places.TakeClean() is long place)
                    return place;
                _session.ThrowIfOver();
                await GrowAsync(blocks, Math.Clamp(_headroom / blocks.Step, 1, Math.Max(1, wanted))).ConfigureAwait(false);
            }
        }
        finally
        {
            _moving.Release();
        }
    }

    /// <summary>Replaces the footer by one that says something else, in its place and then in the copy.</summary>
    public async ValueTask ReplaceAsync(VhdFooter footer)
    {
        await _moving.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            await _file.WriteAsync(_end, footer.ToBytes(), CancellationToken.None).ConfigureAwait(false);
            _footer = footer;
            await _session.BarrierAsync(0).ConfigureAwait(false);
            await _file.WriteAsync(0, footer.ToBytes(), CancellationToken.None).ConfigureAwait(false);
            await _session.BarrierAsync(0).ConfigureAwait(false);
        }
        catch (StorageException failure)
        {
            _session.Fail(failure);
            throw;
        }
        finally
        {
            _moving.Release();
        }
    }

    /// <summary>Cuts off the room nobody used: first the footer, then the length.</summary>
    public async ValueTask TrimAsync(long lastUsed)
    {
        var place = VhdFormat.AlignUp(lastUsed, VhdFormat.Sector);
        if (place == _end && _file.Length == _end + VhdFormat.FooterLength)
            return;
        await _file.WriteAsync(place, _footer.ToBytes(), CancellationToken.None).ConfigureAwait(false);
        await _session.BarrierAsync(0).ConfigureAwait(false);
        await _file.SetLengthAsync(place + VhdFormat.FooterLength, CancellationToken.None).ConfigureAwait(false);
        _end = place;
        await _session.BarrierAsync(0).ConfigureAwait(false);
    }

    public void Dispose() => _moving.Dispose();

    private async ValueTask GrowAsync(VhdBlocks blocks, long count)
    {
        var start = blocks.AlignPlace(_end + VhdFormat.FooterLength);
        var end = VhdFormat.AlignUp(start + ((count - 1) * blocks.Step) + blocks.PlaceLength, VhdFormat.Sector);
        if (end > VhdFormat.MaxFileLength - VhdFormat.FooterLength)
        {
            if (count > 1)
            {
                await GrowAsync(blocks, 1).ConfigureAwait(false);
                return;
            }

            throw new StorageException(StorageErrorKind.NoSpace,
                "the file has reached the 2 TiB its block table can address; convert the disk to VHDX", _file.Path, _end, "write");
        }

        // Where growing fails the footer that counts is still at the old end, and a longer file is found and repaired by any open.
        await _file.SetLengthAsync(end + VhdFormat.FooterLength, CancellationToken.None).ConfigureAwait(false);
        await _places.PrepareAsync(new FileRange(start, end - start)).ConfigureAwait(false);
        await _file.WriteAsync(end, _footer.ToBytes(), CancellationToken.None).ConfigureAwait(false);
        await _session.BarrierAsync(0).ConfigureAwait(false);
        _end = end;
        _places.AddClean(new FileRange(start, end - start));
    }
}
