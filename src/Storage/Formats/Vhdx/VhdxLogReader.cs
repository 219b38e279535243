using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>A valid entry and where in the log it is.</summary>
/// <param name="Position">Offset from the start of the log.</param>
/// <param name="Header">Its header.</param>
/// <param name="Unsealed">The checksum that would seal it; null for a sealed entry.</param>
internal readonly record struct VhdxLogPlace(long Position, VhdxLogEntryHeader Header, uint? Unsealed = null);

/// <summary>Reads the log: finds the entries that a replay must apply and hands out their changes.</summary>
/// <remarks>[MS-VHDX] sections 2.3.2 and 2.3.3. Never writes. Every sector is looked at a bounded number of times whatever
/// the log holds, because a sector can start an entry or be inside one, not both.</remarks>
internal sealed class VhdxLogReader
{
    private const int Window = 64 << 10;
    private readonly IStorageFile _file;
    private readonly VhdxHeader _header;
    private readonly uint _mask;
    private readonly Dictionary<long, uint> _unsealed = [];
    private readonly byte[] _sector = new byte[VhdxFormat.PageSize];
    private long _traces;

    /// <summary>Creates the reader.</summary>
    /// <param name="file">The file.</param>
    /// <param name="header">The header that names the log.</param>
    /// <param name="bootId">Entries that a process left unsealed count when it ran in this start of the computer.</param>
    public VhdxLogReader(IStorageFile file, VhdxHeader header, Guid bootId)
    {
        _file = file;
        _header = header;
        _mask = VhdxLogSeal.MaskOf(bootId, header.LogGuid);
    }

    /// <summary>The entries to replay, oldest first. None when no entry was ever begun under the header's name for the log.</summary>
    /// <exception cref="StorageException">Corrupt: there are entries but no valid sequence of them, or the file was cut after the newest
    /// entry was written.</exception>
    public async ValueTask<IReadOnlyList<VhdxLogPlace>> FindActiveAsync(CancellationToken cancellationToken) =>
        CheckedActive(await ReadEntriesAsync(cancellationToken).ConfigureAwait(false));

    /// <summary>The entries to replay and all that stand before them without a gap; null when there is nothing to replay.</summary>
    /// <exception cref="StorageException">As for <see cref="FindActiveAsync"/>.</exception>
    public async ValueTask<VhdxLogRun?> FindRunAsync(CancellationToken cancellationToken)
    {
        var entries = await ReadEntriesAsync(cancellationToken).ConfigureAwait(false);
        var active = CheckedActive(entries);
        return active.Count == 0 ? null : new VhdxLogRun([.. Before(active, entries), .. active]);
    }

    /// <summary>Hands out an entry's changes in order; for a page its 4 KiB, valid during the call only.</summary>
    public async ValueTask ForEachChangeAsync(
        VhdxLogPlace entry, Func<VhdxLogDescriptor, ReadOnlyMemory<byte>, ValueTask> apply, CancellationToken cancellationToken)
    {
        var descriptors = await ReadDescriptorsAsync(entry, cancellationToken).ConfigureAwait(false);
        var dataAt = entry.Position + (entry.Header.DescriptorSectors * VhdxFormat.PageSize);
        for (var index = 0; index < descriptors.Length; index++)
        {
            if (!VhdxLogDescriptor.TryParse(descriptors[index].Span, entry.Header.Sequence, out var descriptor))
                throw Changed(entry);
            if (descriptor.IsZero)
            {
                await apply(descriptor, default).ConfigureAwait(false);
                continue;
            }

            await ReadSectorAsync(dataAt, cancellationToken).ConfigureAwait(false);
            if (!VhdxLogDescriptor.IsDataSector(_sector, entry.Header.Sequence))
                throw Changed(entry);
            descriptor.Restore(_sector);
            await apply(descriptor, _sector).ConfigureAwait(false);
            dataAt += VhdxFormat.PageSize;
        }
    }

    private List<VhdxLogPlace> CheckedActive(Dictionary<long, VhdxLogEntryHeader> entries)
    {
        var active = FindActive(entries);
        if (active.Count == 0 && _traces == 0)
        {
            // [MS-VHDX] 2.3.3 says to refuse. But QEMU names the log before it writes the first entry and is killed in between now
            // and then. No page can have changed: pages follow stable entries, and entries never go but by being overwritten by others.
            return active;
        }

        if (active.Count == 0)
        {
            throw new StorageException(StorageErrorKind.Corrupt,
                $"the header says that the log must be replayed, but of its {_traces} entries none ends a valid sequence;"
                + " the log is damaged and what it held may be in no other place: restore the file from a copy,"
                + " or see what \"godwit disk repair --dry-run\" says is lost",
                _file.Path, _header.LogOffset, "open");
        }

        var head = active[^1].Header;
        if (_file.Length < head.FlushedFileOffset)
        {
            throw new StorageException(StorageErrorKind.Corrupt,
                $"the file was cut: it has {_file.Length} bytes, the log knows of at least {head.FlushedFileOffset}",
                _file.Path, _header.LogOffset + active[^1].Position, "open");
        }

        return active;
    }

    private async ValueTask<Dictionary<long, VhdxLogEntryHeader>> ReadEntriesAsync(CancellationToken cancellationToken)
    {
        var entries = new Dictionary<long, VhdxLogEntryHeader>();
        var window = GC.AllocateUninitializedArray<byte>(Window);
        for (long position = 0; position < _header.LogLength; position += VhdxFormat.PageSize)
        {
            // A log's length is a multiple of 1 MiB and so of the window.
            var inWindow = (int)(position % Window);
            if (inWindow == 0)
                await _file.ReadAsync(_header.LogOffset + position, window, cancellationToken).ConfigureAwait(false);
            var sector = window.AsMemory(inWindow, VhdxLogEntryHeader.Size);
            if (VhdxLogEntryHeader.IsOf(sector.Span, _header.LogGuid))
                _traces++;
            if (VhdxLogEntryHeader.TryParse(sector.Span, _header.LogGuid, _header.LogLength, out var header, out var checksum)
                && await IsValidAsync(position, header, checksum, cancellationToken).ConfigureAwait(false))
            {
                entries.Add(position, header);
            }
        }

        return entries;
    }

    private async ValueTask<bool> IsValidAsync(
        long position, VhdxLogEntryHeader header, uint checksum, CancellationToken cancellationToken)
    {
        long left = header.DescriptorCount;
        long dataSectors = 0;
        uint crc = 0;
        for (long sector = 0; sector < header.DescriptorSectors; sector++)
        {
            await ReadSectorAsync(position + (sector * VhdxFormat.PageSize), cancellationToken).ConfigureAwait(false);
            crc = sector == 0 ? Crc32C.BeginStructure(_sector, VhdxLogEntryHeader.ChecksumAt) : Crc32C.Append(crc, _sector);
            var at = sector == 0 ? VhdxLogEntryHeader.Size : 0;
            for (; at < _sector.Length && left > 0; at += VhdxLogEntryHeader.DescriptorSize, left--)
            {
                if (!VhdxLogDescriptor.TryParse(_sector.AsSpan(at), header.Sequence, out var descriptor) || TouchesLog(descriptor))
                    return false;
                dataSectors += descriptor.IsZero ? 0 : 1;
            }
        }

        if ((header.DescriptorSectors + dataSectors) * VhdxFormat.PageSize != header.Length)
            return false;
        for (long sector = header.DescriptorSectors; sector < header.Length / VhdxFormat.PageSize; sector++)
        {
            await ReadSectorAsync(position + (sector * VhdxFormat.PageSize), cancellationToken).ConfigureAwait(false);
            if (!VhdxLogDescriptor.IsDataSector(_sector, header.Sequence))
                return false;
            crc = Crc32C.Append(crc, _sector);
        }

        if (~crc == (checksum ^ _mask))
            _unsealed[position] = ~crc;
        return ~crc == checksum || ~crc == (checksum ^ _mask);
    }

    /// <summary>No writer logs changes of the log; applying one would pull the entries from under the replay.</summary>
    private bool TouchesLog(VhdxLogDescriptor change) =>
        change.FileOffset < _header.LogOffset + _header.LogLength && change.End > _header.LogOffset;

    /// <summary>Among all runs of consecutive entries whose newest one finds its tail inside the run, the newest, from that tail on.</summary>
    private List<VhdxLogPlace> FindActive(Dictionary<long, VhdxLogEntryHeader> entries)
    {
        var best = new List<VhdxLogPlace>();
        for (long start = 0; start < _header.LogLength;)
        {
            var run = new List<VhdxLogPlace>();
            var position = start;
            while (entries.TryGetValue(position % _header.LogLength, out var header)
                && (run.Count == 0 || header.Sequence == run[^1].Header.Sequence + 1))
            {
                var place = position % _header.LogLength;
                run.Add(PlaceOf(place, header));
                position += header.Length;
            }

            // A shorter run with the same newest entry holds less, so where one fails all its later parts fail too.
            start = run.Count == 0 ? start + VhdxFormat.PageSize : position;
            if (run.Count == 0 || (best.Count > 0 && best[^1].Header.Sequence >= run[^1].Header.Sequence))
                continue;
            var tail = run.FindLastIndex(place => place.Position == run[^1].Header.Tail);
            if (tail >= 0)
                best = run[tail..];
        }

        return best;
    }

    /// <summary>The entries right before some, oldest first, as far back as they are whole.</summary>
    private List<VhdxLogPlace> Before(List<VhdxLogPlace> active, Dictionary<long, VhdxLogEntryHeader> entries)
    {
        var byEnd = new Dictionary<long, VhdxLogPlace>();
        foreach (var (position, header) in entries)
            byEnd[(position + header.Length) % _header.LogLength] = PlaceOf(position, header);
        var length = active.Sum(static place => place.Header.Length);
        List<VhdxLogPlace> before = [];
        for (var first = active[0]; byEnd.TryGetValue(first.Position, out var previous); first = previous)
        {
            length += previous.Header.Length;
            if (previous.Header.Sequence != first.Header.Sequence - 1 || length > _header.LogLength)
                break;
            before.Add(previous);
        }

        before.Reverse();
        return before;
    }

    private VhdxLogPlace PlaceOf(long position, VhdxLogEntryHeader header) =>
        new(position, header, _unsealed.TryGetValue(position, out var checksum) ? checksum : null);

    private async ValueTask<ReadOnlyMemory<byte>[]> ReadDescriptorsAsync(VhdxLogPlace entry, CancellationToken cancellationToken)
    {
        var descriptors = new ReadOnlyMemory<byte>[entry.Header.DescriptorCount];
        var index = 0;
        for (long sector = 0; sector < entry.Header.DescriptorSectors; sector++)
        {
            await ReadSectorAsync(entry.Position + (sector * VhdxFormat.PageSize), cancellationToken).ConfigureAwait(false);
            var copy = _sector.ToArray();
            for (var at = sector == 0 ? VhdxLogEntryHeader.Size : 0; at < copy.Length && index < descriptors.Length; at += VhdxLogEntryHeader.DescriptorSize)
                descriptors[index++] = copy.AsMemory(at, VhdxLogEntryHeader.DescriptorSize);
        }

        return descriptors;
    }

    private ValueTask ReadSectorAsync(long position, CancellationToken cancellationToken) =>
        _file.ReadAsync(_header.LogOffset + (position % _header.LogLength), _sector, cancellationToken);

    private StorageException Changed(VhdxLogPlace entry) => new(
        StorageErrorKind.Corrupt, "the log changed while it was read", _file.Path, _header.LogOffset + entry.Position, "open");
}
