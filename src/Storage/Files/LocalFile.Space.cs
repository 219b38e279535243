using Godwit.Storage.Interop;

namespace Godwit.Storage.Files;

/// <content>Space: holes, reservations and extents.</content>
public sealed partial class LocalFile
{
    // What the file system has refused once it is not asked again: it would refuse each time. Only hints, so not synchronized.
    private bool _cannotPunch;
    private bool _cannotZero;
    private bool _cannotReserve;
    private bool _cannotSeek;

    // A file system in memory has everything and cannot be asked for what it has.
    private bool _neverWaits;
    private bool _askedWhetherWaits;

    private readonly KnownRun _data = new();
    private readonly Action<long, long, CancellationToken> _punch;
    private readonly Action<long, long, CancellationToken> _allocate;

    /// <inheritdoc/>
    public ValueTask PunchHoleAsync(long offset, long length, CancellationToken cancellationToken)
    {
        CheckRange(offset, length, "punch hole", cancellationToken);
        if (_direct is not null && length > 0)
            return ChangeAloneAsync(_direct, _punch, offset, length, cancellationToken);
        Punch(offset, length, cancellationToken);
        return ValueTask.CompletedTask;
    }

    private void Punch(long offset, long length, CancellationToken cancellationToken)
    {
        if (length > 0 && !TryPunch(offset, length))
            WriteZeroes(offset, length, cancellationToken);
        _data.Forget();
    }

    /// <inheritdoc/>
    public ValueTask AllocateZeroesAsync(long offset, long length, CancellationToken cancellationToken)
    {
        CheckRange(offset, length, "allocate", cancellationToken);
        if (_direct is not null && length > 0)
            return ChangeAloneAsync(_direct, _allocate, offset, length, cancellationToken);
        Allocate(offset, length, cancellationToken);
        return ValueTask.CompletedTask;
    }

    /// <summary>Changes the space of a range while nobody writes to its blocks around the page cache.</summary>
    private static async ValueTask ChangeAloneAsync(
        DirectFile direct, Action<long, long, CancellationToken> change, long offset, long length, CancellationToken cancellationToken)
    {
        using var holder = await direct.LockAsync(offset, length, cancellationToken).ConfigureAwait(false);
        change(offset, length, cancellationToken);
    }

    private void Allocate(long offset, long length, CancellationToken cancellationToken)
    {
        if (length > 0 && !TryZero(offset, length) && !TryPunchAndReserve(offset, length))
            WriteZeroes(offset, length, cancellationToken);
        _data.Forget();
    }

    /// <inheritdoc/>
    public ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken)
    {
        Check(offset, "extent", cancellationToken);
        if (length <= 0 || length > Length - offset)
            throw OutsideFile(offset, length, "extent");
        return new ValueTask<Extent>(FindExtent(offset, length));
    }

    private Extent FindExtent(long offset, long length)
    {
        var everything = new Extent(offset, length, ExtentKind.Data);
        if (_cannotSeek)
            return everything;
        if (_data.TryFindEnd(offset, out var known))
            return everything with { Length = Math.Min(known - offset, length) };
        var version = _data.Version;
        var data = _file.Seek(offset, LibC.SeekData);
        if (data is null)
        {
            _cannotSeek = true;
            return everything;
        }

        if (data == offset)
        {
            var hole = _file.Seek(offset, LibC.SeekHole) ?? offset + length;
            if (hole <= offset)
                throw CutBehindOurBack(offset);
            _data.Note(version, offset, hole);
            return everything with { Length = Math.Min(hole - offset, length) };
        }

        // No data up to the end is also what a file that was cut says; a copy would then take the lost part for zeroes.
        if (data < 0 && (long)_file.Status().Size < offset + length)
            throw CutBehindOurBack(offset);
        var end = data < 0 ? offset + length : Math.Min(data.Value, offset + length);
        return new Extent(offset, end - offset, ExtentKind.Hole);
    }

    private bool TryPunch(long offset, long length) =>
        TryAllocate(ref _cannotPunch, LibC.FallocatePunchHole | LibC.FallocateKeepSize, offset, length, "punch hole");

    private bool TryZero(long offset, long length) =>
        TryAllocate(ref _cannotZero, LibC.FallocateZeroRange | LibC.FallocateKeepSize, offset, length, "allocate");

    /// <summary>The way of file systems in memory, which can reserve but not zero in place.</summary>
    private bool TryPunchAndReserve(long offset, long length) =>
        TryPunch(offset, length) && TryAllocate(ref _cannotReserve, LibC.FallocateKeepSize, offset, length, "allocate");

    private bool TryAllocate(ref bool refused, int mode, long offset, long length, string operation)
    {
        if (refused)
            return false;
        var done = _file.TryAllocate(mode, offset, length, operation);

        // A block device refuses by alignment, so the next request may fare better.
        refused = !done && !_isBlockDevice;
        return done;
    }

    private void WriteZeroes(long offset, long length, CancellationToken cancellationToken)
    {
        for (var end = offset + length; offset < end;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var count = (int)Math.Min(end - offset, Zeroes.Block.Length);
            WriteNow(offset, Zeroes.Block.AsSpan(0, count));
            offset += count;
        }
    }

    private void CheckRange(long offset, long length, string operation, CancellationToken cancellationToken)
    {
        Check(offset, operation, cancellationToken);
        CheckWritable(operation);
        if (length < 0 || length > Length - offset)
            throw OutsideFile(offset, length, operation);
    }

    private StorageException OutsideFile(long offset, long length, string operation) => new(
        StorageErrorKind.InvalidRequest, $"{length} bytes there are not inside the file's {Length} bytes", Path, offset, operation);

    private StorageException CutBehindOurBack(long offset) => new(
        StorageErrorKind.Corrupt,
        $"the file is shorter than the {Length} bytes it had when opened; something else has cut it",
        Path,
        offset,
        "extent");

    private static class Zeroes
    {
        public static readonly byte[] Block = new byte[256 * 1024];
    }
}
