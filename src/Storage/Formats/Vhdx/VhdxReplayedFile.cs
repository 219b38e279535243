using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>A file seen through the changes its log holds. For reading only; disposing it disposes the file behind.</summary>
internal sealed class VhdxReplayedFile : IStorageFile
{
    private readonly IStorageFile _inner;
    private readonly List<Patch> _patches;
    private readonly long _firstPatched = long.MaxValue;
    private readonly long _lastPatched;

    /// <summary>Creates the view.</summary>
    /// <param name="inner">The file behind.</param>
    /// <param name="patches">In the order to apply.</param>
    /// <param name="minLength">What the replay grows the file to.</param>
    public VhdxReplayedFile(IStorageFile inner, List<Patch> patches, long minLength)
    {
        _inner = inner;
        _patches = patches;
        foreach (var patch in patches)
        {
            _firstPatched = Math.Min(_firstPatched, patch.Start);
            _lastPatched = Math.Max(_lastPatched, patch.End);
        }

        Length = Math.Max(Math.Max(inner.Length, minLength), _lastPatched);
    }

    /// <inheritdoc/>
    public string Path => _inner.Path;

    /// <inheritdoc/>
    public long Length { get; }

    /// <inheritdoc/>
    public bool IsReadOnly => true;

    /// <inheritdoc/>
    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (offset > Length - buffer.Length)
            throw new StorageException(StorageErrorKind.Corrupt, $"{buffer.Length} bytes there reach past the end at {Length}", Path, offset, "read");
        var inside = (int)Math.Clamp(_inner.Length - offset, 0, buffer.Length);
        if (inside > 0)
            await _inner.ReadAsync(offset, buffer[..inside], cancellationToken).ConfigureAwait(false);
        buffer.Span[inside..].Clear();
        if (offset >= _lastPatched || offset + buffer.Length <= _firstPatched)
            return;
        foreach (var patch in _patches)
            patch.Apply(offset, buffer.Span);
    }

    /// <inheritdoc/>
    public ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken)
    {
        if (offset < _lastPatched && offset + length > _firstPatched)
        {
            // Near the changes everything counts as data; that is allowed, and there is little of it.
            var end = offset >= _firstPatched ? Math.Min(_lastPatched, offset + length) : _firstPatched;
            return new ValueTask<Extent>(new Extent(offset, end - offset, ExtentKind.Data));
        }

        if (offset >= _inner.Length)
            return new ValueTask<Extent>(new Extent(offset, length, ExtentKind.Hole));
        return _inner.GetExtentAsync(offset, Math.Min(length, _inner.Length - offset), cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken) => throw ReadOnly();

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <inheritdoc/>
    public ValueTask SetLengthAsync(long length, CancellationToken cancellationToken) => throw ReadOnly();

    /// <inheritdoc/>
    public ValueTask PunchHoleAsync(long offset, long length, CancellationToken cancellationToken) => throw ReadOnly();

    /// <inheritdoc/>
    public ValueTask AllocateZeroesAsync(long offset, long length, CancellationToken cancellationToken) => throw ReadOnly();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _inner.DisposeAsync();

    private StorageException ReadOnly() => new(StorageErrorKind.ReadOnly, "the file is open for reading only", Path);

    /// <summary>Bytes that replace a part of the file.</summary>
    /// <param name="Start">First byte.</param>
    /// <param name="End">The byte after the last one.</param>
    /// <param name="Bytes">The content, or null for zeroes.</param>
    internal readonly record struct Patch(long Start, long End, byte[]? Bytes)
    {
        public void Apply(long offset, Span<byte> buffer)
        {
            var from = Math.Max(Start, offset);
            var to = Math.Min(End, offset + buffer.Length);
            if (from >= to)
                return;
            var part = buffer[(int)(from - offset)..(int)(to - offset)];
            if (Bytes is null)
                part.Clear();
            else
                Bytes.AsSpan((int)(from - Start), part.Length).CopyTo(part);
        }
    }
}
