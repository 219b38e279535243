using System.Buffers;
using System.Runtime.CompilerServices;
using Godwit.Storage.Chains;
using Godwit.Storage.Locking;
using Godwit.Storage.Mirror;

namespace Godwit.Storage.Operations;

/// <summary>Serves a chain whose leaf is being copied into its parent, and makes in the parent too whatever changes where the copy has been already.</summary>
/// <remarks>
/// <para>Nobody sees the parent's bytes: every change is in the leaf first, which covers it. So what was not answered, and what a power cut takes from the
/// parent, does no harm as long as the leaf is the disk.</para>
/// <para>A change locks its range; where it begins below the line up to which changes are passed on it goes to both, else to the leaf only. The copy moves the
/// line forward before it looks at what lies behind it, and waits for the changes that began before.</para>
/// <para>A parent that fails is told of (<see cref="Failure"/>), never to the guest; from then on changes go to the leaf only. Flushes go to the leaf only
/// too: until the parent stands for the leaf nothing depends on it. Owns the chain. Cannot grow.</para>
/// </remarks>
public sealed class LeafMergeDisk : BlockDevice
{
    private const int PieceBytes = 2 << 20;
    private readonly RangeLock _locks = new();
    private readonly BlockDevice _leaf;
    private readonly BlockDevice _target;
    private readonly long _unit;
    private long _line;
    private volatile Exception? _failure;

    /// <summary>Creates the device. Nothing is passed on until a <see cref="LeafMerge"/> runs.</summary>
    /// <param name="chain">The chain, its second layer open for writing (<see cref="ChainOptions.WritableLayer"/>); its device is owned from now on.</param>
    /// <param name="isCopied">All that the leaf holds is in the parent already: everything that changes is passed on.</param>
    /// <exception cref="ArgumentException">The parent is not open for writing.</exception>
    public LeafMergeDisk(DiskChain chain, bool isCopied = false)
        : this(chain.Device, chain.Devices.Count > 1 ? chain.Devices[1] : throw new ArgumentException("the leaf has no parent", nameof(chain)), isCopied)
    {
    }

    /// <summary>Creates the device for a leaf and its parent, which the leaf owns.</summary>
    internal LeafMergeDisk(BlockDevice leaf, BlockDevice target, bool isCopied)
        : base(leaf.Length, Offered(leaf.Capabilities))
    {
        if (target.Capabilities.ReadOnly)
            throw new ArgumentException("the parent is open for reading only", nameof(target));
        (_leaf, _target) = (leaf, target);
        _unit = Math.Max(_target.Capabilities.SectorSize, _leaf.Capabilities.SectorSize);
        _line = isCopied ? Length : 0;
    }

    /// <inheritdoc/>
    public override string? Path => _leaf.Path;

    /// <summary>Why changes are not passed on any more: the parent does not hold what the leaf holds. Null while all is well.</summary>
    public Exception? Failure => _failure;

    /// <summary>The parent.</summary>
    internal BlockDevice Target => _target;

    /// <summary>Throws when the parent has failed.</summary>
    /// <exception cref="StorageException">It has.</exception>
    public void ThrowIfFailed()
    {
        if (_failure is { } failure)
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
    }

    /// <summary>Makes what has been passed on survive a power cut.</summary>
    /// <exception cref="StorageException">The parent failed; what was passed on since its last flush may be lost.</exception>
    public async ValueTask FlushParentAsync()
    {
        ThrowIfFailed();
        try
        {
            await _target.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // The kernel may have dropped any earlier write, and says so only once.
            _failure = e;
            throw;
        }
    }

    /// <summary>Flushes the parent, where that is of use, and closes the chain. <see cref="Failure"/> tells afterwards whether the parent holds everything.</summary>
    /// <exception cref="StorageException">The chain could not be closed properly.</exception>
    public override async ValueTask DisposeAsync()
    {
        try
        {
            await FlushParentAsync().ConfigureAwait(false);
        }
        catch (StorageException)
        {
            // Remembered; it only matters to who wants the parent to stand for the leaf.
        }

        await _leaf.DisposeAsync().ConfigureAwait(false);
        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Changes that begin below an offset are passed on from now on; those that may not be have ended when this returns.</summary>
    /// <param name="end">The offset, not below an earlier one.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    internal async ValueTask MoveLineAsync(long end, CancellationToken cancellationToken)
    {
        var start = _line;
        Volatile.Write(ref _line, end);
        (await _locks.AcquireAsync(start, end - start, cancellationToken).ConfigureAwait(false)).Dispose();
    }

    /// <summary>Makes in the parent what the leaf decides in a range, as it is now.</summary>
    /// <param name="offset">First byte; whole sectors of both.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="cancellationToken">Gives up.</param>
    internal async ValueTask CopyAsync(long offset, long length, CancellationToken cancellationToken)
    {
        using (await _locks.AcquireAsync(offset, length, cancellationToken).ConfigureAwait(false))
            await BringAsync(offset, offset + length, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Widens a range to whole sectors of the parent.</summary>
    internal (long Start, long End) Whole(long offset, long end) => (offset & -_unit, (end + _unit - 1) & -_unit);

    /// <inheritdoc/>
    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        _leaf.ReadAsync(offset, buffer, cancellationToken);

    /// <inheritdoc/>
    protected override int TryMoveToPipeCore(long offset, int length, int pipe) => _leaf.TryMoveToPipe(offset, length, pipe);

    /// <inheritdoc/>
    protected override ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        _leaf.GetExtentAsync(offset, length, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) => _leaf.FlushAsync(cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) =>
        ChangeAsync(DiskRequest.Write(offset, buffer, flags), cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteZeroesCoreAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken) =>
        ChangeAsync(DiskRequest.Zero(offset, length, flags), cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        // A trim that may read back as anything could read back otherwise from the parent: zero instead, which frees space too.
        var change = DiskRequest.Trim(offset, length);
        return ChangeAsync(_leaf.Capabilities.Trim == TrimResult.Zeroes ? change : change.AsZero(), cancellationToken);
    }

    private static DiskCapabilities Offered(DiskCapabilities leaf) => leaf with
    {
        CanResize = false,
        Trim = leaf.Trim == TrimResult.Ignored ? TrimResult.Ignored : TrimResult.Zeroes,
    };

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ChangeAsync(DiskRequest change, CancellationToken cancellationToken)
    {
        var (start, end) = Whole(change.Offset, change.End);
        using (await _locks.AcquireAsync(start, end - start, cancellationToken).ConfigureAwait(false))
        {
            // Asked under the lock, see MoveLineAsync.
            var both = start < Volatile.Read(ref _line) && _failure is null;
            var whole = false;
            try
            {
                await change.SendAsync(_leaf, cancellationToken).ConfigureAwait(false);
                whole = start == change.Offset && end == change.End;
            }
            finally
            {
                // A change that failed has left nobody knows what; the parent gets whatever it is.
                if (both && whole)
                    await PassOnAsync(change).ConfigureAwait(false);
                else if (both)
                    await TryBringAsync(start, end).ConfigureAwait(false);
            }
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask PassOnAsync(DiskRequest change)
    {
        try
        {
            // Not forced to the medium, and zeroes give their space back: what counts is what it reads as.
            if (change.Kind == DiskRequestKind.Write)
                await _target.WriteAsync(change.Offset, change.Buffer, WriteFlags.None, CancellationToken.None).ConfigureAwait(false);
            else
                await _target.WriteZeroesAsync(change.Offset, change.Length, WriteFlags.None, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            _failure = e;
        }
    }

    private async ValueTask TryBringAsync(long start, long end)
    {
        try
        {
            await BringAsync(start, end, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            _failure = e;
        }
    }

    /// <summary>The range is locked, and whole sectors of both.</summary>
    private async ValueTask BringAsync(long start, long end, CancellationToken cancellationToken)
    {
        for (var at = start; at < end;)
        {
            var run = await _leaf.GetExtentAsync(at, Math.Min(end, Length) - at, cancellationToken).ConfigureAwait(false);
            var (from, to) = Whole(at, run.End);
            if (run.Layer == 0 && run.ReadsAsZeroes && from == at && to == run.End)
                await _target.WriteZeroesAsync(at, run.Length, WriteFlags.None, cancellationToken).ConfigureAwait(false);
            else if (run.Layer == 0)
                await CopyPiecesAsync(from, to, cancellationToken).ConfigureAwait(false);
            at = run.Layer == 0 ? to : run.End;
        }
    }

    private async ValueTask CopyPiecesAsync(long from, long to, CancellationToken cancellationToken)
    {
        var rented = ArrayPool<byte>.Shared.Rent((int)Math.Min(PieceBytes, to - from));
        try
        {
            for (var at = from; at < to;)
            {
                var piece = rented.AsMemory(0, (int)Math.Min(PieceBytes, to - at));
                await _leaf.ReadAsync(at, piece, cancellationToken).ConfigureAwait(false);
                await _target.WriteAsync(at, piece, WriteFlags.None, cancellationToken).ConfigureAwait(false);
                at += piece.Length;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }
}
