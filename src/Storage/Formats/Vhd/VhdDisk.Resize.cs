namespace Godwit.Storage.Formats.Vhd;

public sealed partial class VhdDisk
{
    /// <inheritdoc/>
    /// <remarks>A dynamic or differencing disk needs room in its block table, up to the next part of the file.</remarks>
    protected override async ValueTask ResizeCoreAsync(long length, CancellationToken cancellationToken)
    {
        if (length == Length)
            return;
        if (length > VhdFormat.MaxDiskSize)
            throw CannotGrow(StorageErrorKind.InvalidRequest, $"{length} bytes is more than the format's 2040 GiB");
        _session.ThrowIfOver();
        using var holder = await _locks.AcquireAsync(0, long.MaxValue, cancellationToken).ConfigureAwait(false);
        if (_table is null)
            await GrowFixedAsync(length, cancellationToken).ConfigureAwait(false);
        else
            await GrowSparseAsync(length, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask GrowSparseAsync(long length, CancellationToken cancellationToken)
    {
        var old = _blocks!;
        var grown = new VhdBlocks(length, old.Size);
        if (_parentLength > Length)
            throw CannotGrow(StorageErrorKind.Unsupported, $"the parent has {_parentLength} bytes, which would show in the new part; merge the disk into it first");
        if (grown.Count > _table!.Count)
            await PrepareTableAsync(grown, cancellationToken).ConfigureAwait(false);
        await ClearBehindEndAsync(old, cancellationToken).ConfigureAwait(false);
        await _session.BarrierAsync(0).ConfigureAwait(false);
        var footer = _footers.Current.WithSize(length);
        await _tail!.ReplaceAsync(footer).ConfigureAwait(false);
        _footers = _footers with { Current = footer };
        _bitmaps!.Grow(grown);
        _table.Grow(grown.Count);
        Volatile.Write(ref _blocks, grown);
    }

    /// <summary>Makes the table in the file long enough. The header's fields are in one sector: they are old or new.</summary>
    private async ValueTask PrepareTableAsync(VhdBlocks grown, CancellationToken cancellationToken)
    {
        var end = VhdFormat.AlignUp(_table!.EntryOffset(grown.Count), VhdFormat.Sector);
        if (grown.Count * sizeof(uint) > VhdFormat.MaxTableLength || !IsTableRoom(end))
        {
            throw CannotGrow(StorageErrorKind.Unsupported,
                $"{grown.DiskSize} bytes need {grown.Count} entries of the block table, and behind its {_table.Count} there is no room for more; "
                + "copy the disk to a new, larger one");
        }

        // The close must not cut it off, though no block may lie behind it.
        _metadataEnd = Math.Max(_metadataEnd, end);
        await _table.PrepareGrowthAsync(grown.Count, cancellationToken).ConfigureAwait(false);
        _session.Changed();
        if (grown.Count <= _header!.MaxEntries)
            return;
        var header = _header.WithTable(_table.Offset, grown.Count);
        await _session.BarrierAsync(0).ConfigureAwait(false);
        await _file.WriteAsync((long)_footers.Current.DataOffset, header.ToBytes().AsMemory(0, VhdFormat.Sector), cancellationToken).ConfigureAwait(false);
        _header = header;
    }

    /// <summary>Nobody is between the table and there, and no block will be put there.</summary>
    private bool IsTableRoom(long end)
    {
        var start = _table!.Offset;
        if (end > _tail!.End || _places!.MayUse(start, end))
            return false;
        for (var block = _table.NextPresent(0, _table.Count); block < _table.Count; block = _table.NextPresent(block + 1, _table.Count))
        {
            if (Overlaps(_table[block], _blocks!.PlaceLength))
                return false;
        }

        for (var index = 0; index < VhdFormat.LocatorCount; index++)
        {
            var locator = _header!.Locator(index);
            if (locator.IsUsed && locator.Offset < long.MaxValue / 2 && Overlaps((long)locator.Offset, locator.RoomInBytes))
                return false;
        }

        return !Overlaps((long)_footers.Current.DataOffset, VhdFormat.HeaderLength);

        bool Overlaps(long at, long length) => at < end && at + length > start;
    }

    /// <summary>Zeroes the part of the last block that the guest could not see so far; another program may have left bytes there.</summary>
    private async ValueTask ClearBehindEndAsync(VhdBlocks old, CancellationToken cancellationToken)
    {
        var last = old.Count - 1;
        var place = _table![last];
        var used = old.UsedLength(last);
        if (place < 0 || used == old.Size)
            return;
        if (place + old.PlaceLength > _tail!.End)
            throw CannotGrow(StorageErrorKind.Unsupported, "the last block is cut at the end of the file; copy the disk to a new, larger one");
        await _file.PunchHoleAsync(old.DataAt(place, used), old.Size - used, cancellationToken).ConfigureAwait(false);
        _session.Changed();
    }

    /// <summary>Moves the footer of a fixed disk. The disk gets larger only at the end: until then what is behind its old end is
    /// nobody's, so the old footer can be zeroed without anybody reading a half of it.</summary>
    private async ValueTask GrowFixedAsync(long length, CancellationToken cancellationToken)
    {
        var footer = _footers.Current;
        var oldEnd = _footers.End;
        if (length > oldEnd || !_footers.IsInPlace)
        {
            var end = Math.Max(length, VhdFormat.AlignUp(oldEnd + VhdFormat.FooterLength, VhdFormat.Sector));
            await MoveFixedFooterAsync(end, cancellationToken).ConfigureAwait(false);
            _footers = new VhdFooters(footer, end, IsInPlace: true, HasCopy: false);
        }

        // Not up to the footer: between the new end and a footer that lies behind it there may be any length.
        await _file.AllocateZeroesAsync(Length, length - Length, cancellationToken).ConfigureAwait(false);
        await _file.FlushAsync(cancellationToken).ConfigureAwait(false);
        footer = footer.WithSize(length);
        await _file.WriteAsync(_footers.End, footer.ToBytes(), cancellationToken).ConfigureAwait(false);
        await _file.FlushAsync(cancellationToken).ConfigureAwait(false);
        _footers = _footers with { Current = footer };
    }

    private async ValueTask MoveFixedFooterAsync(long end, CancellationToken cancellationToken)
    {
        var oldLength = _file.Length;
        try
        {
            await _file.SetLengthAsync(end + VhdFormat.FooterLength, cancellationToken).ConfigureAwait(false);
            if (end > oldLength)
                await _file.AllocateZeroesAsync(oldLength, end - oldLength, cancellationToken).ConfigureAwait(false);
            await _file.WriteAsync(end, _footers.Current.ToBytes(), cancellationToken).ConfigureAwait(false);
        }
        catch (StorageException)
        {
            await _file.SetLengthAsync(oldLength, CancellationToken.None).ConfigureAwait(false);
            throw;
        }

        await _file.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private StorageException CannotGrow(StorageErrorKind kind, string reason) => new(kind, reason, Path, operation: "resize");
}
