using System.Runtime.CompilerServices;

namespace Godwit.Storage.Chains;

/// <summary>A parent as its child sees it: in the child's sectors, as long as any child may be, for reading only.</summary>
/// <remarks>Behind the parent's end everything reads as zeroes: a child may be larger. Requests that are not whole sectors of
/// the parent go through a buffer of their own; all others go straight through and allocate nothing, to the layer that has the bytes
/// (<see cref="LayerMemo"/>). Owns the parent.</remarks>
internal sealed class ParentView : BlockDevice
{
    // The largest disk either format can describe, so that a child that grows needs no other view.
    private const long Room = 64L << 40;

    private readonly BlockDevice _parent;
    private bool _isBeneathAnother;
    private bool _hasLooked;
    private LayerMemo? _memo;

    /// <summary>Creates the view.</summary>
    /// <param name="parent">The parent; owned from now on.</param>
    /// <param name="sectorSize">Logical sector size of the child, in bytes.</param>
    public ParentView(BlockDevice parent, int sectorSize)
        : base(Room, parent.Capabilities with { SectorSize = sectorSize, ReadOnly = true, Trim = TrimResult.Ignored, CanResize = false })
    {
        _parent = parent;

        // One for the whole chain is enough: the one reads come to first.
        if (parent is ILayer { Beneath: { } lower })
            lower._isBeneathAnother = true;
    }

    /// <summary>The parent; stays this view's.</summary>
    internal BlockDevice Parent => _parent;

    /// <inheritdoc/>
    public override string? Path => _parent.Path;

    private int ParentSector => _parent.Capabilities.SectorSize;

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await _parent.DisposeAsync().ConfigureAwait(false);
        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var inside = (int)Math.Clamp(_parent.Length - offset, 0, buffer.Length);
        buffer.Span[inside..].Clear();
        if (inside == 0)
            return ValueTask.CompletedTask;
        return ((offset | (long)inside) & (ParentSector - 1)) == 0
            ? Find(offset, inside).ReadAsync(offset, buffer[..inside], cancellationToken)
            : ReadThroughBufferAsync(offset, buffer[..inside], cancellationToken);
    }

    /// <inheritdoc/>
    protected override int TryMoveToPipeCore(long offset, int length, int pipe) =>
        offset + length <= _parent.Length && ((offset | (long)length) & (ParentSector - 1)) == 0
            ? Find(offset, length).TryMoveToPipe(offset, length, pipe)
            : 0;

    /// <inheritdoc/>
    protected override async ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        if (offset >= _parent.Length)
            return new Extent(offset, length, ExtentKind.Hole, Layer: 1);
        var start = offset & -(long)ParentSector;
        var end = Math.Min(_parent.Length, (offset + length + ParentSector - 1) & -(long)ParentSector);
        var found = await _parent.GetExtentAsync(start, end - start, cancellationToken).ConfigureAwait(false);
        var run = Math.Min(found.End, offset + length) - offset;

        // The parent may end, or change, inside one of the child's sectors: such a sector counts as data.
        var whole = run & -(long)Capabilities.SectorSize;
        if (whole > 0)
            return new Extent(offset, whole, found.Kind, found.Layer + 1);
        return new Extent(offset, Capabilities.SectorSize, ExtentKind.Data, found.Layer + 1);
    }

    /// <inheritdoc/>
    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) => throw Impossible();

    /// <inheritdoc/>
    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) => throw Impossible();

    /// <inheritdoc/>
    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) => throw Impossible();

    /// <inheritdoc/>
    protected override ValueTask WriteZeroesCoreAsync(
        long offset, long length, WriteFlags flags, CancellationToken cancellationToken) => throw Impossible();

    /// <summary>The layer to read whole sectors of the parent from.</summary>
    private BlockDevice Find(long offset, int length)
    {
        if (_isBeneathAnother)
            return _parent;
        if (!Volatile.Read(ref _hasLooked))
        {
            _memo = LayerMemo.TryCreate(_parent);
            Volatile.Write(ref _hasLooked, true);
        }

        return _memo?.Find(offset, length) ?? _parent;
    }

    private static InvalidOperationException Impossible() => new("the waist lets no change of a read-only device through");

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ReadThroughBufferAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var start = offset & -(long)ParentSector;
        var end = (offset + buffer.Length + ParentSector - 1) & -(long)ParentSector;
        var rented = System.Buffers.ArrayPool<byte>.Shared.Rent((int)(end - start));
        try
        {
            var sectors = rented.AsMemory(0, (int)(end - start));
            await _parent.ReadAsync(start, sectors, cancellationToken).ConfigureAwait(false);
            sectors.Slice((int)(offset - start), buffer.Length).CopyTo(buffer);
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(rented);
        }
    }
}
