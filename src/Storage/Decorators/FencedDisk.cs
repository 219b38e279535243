using System.Runtime.CompilerServices;
using Godwit.Storage.Mirror;

namespace Godwit.Storage.Decorators;

/// <summary>Lets requests through only while this computer is known to own the disk (<see cref="Decorators.Fence"/>).</summary>
/// <remarks>
/// <para>Writes are held because another owner may have begun to write, reads because they would show a guest what is no longer so, flushes because
/// they write. What the page cache holds is not stopped by this: a disk that another computer may take over has to be opened around it.</para>
/// <para>Safe from any thread.</para>
/// </remarks>
/// <param name="inner">The device behind; owned from now on.</param>
/// <param name="fence">Who may pass; stays the caller's, who may have other requests pass it too.</param>
public sealed class FencedDisk(BlockDevice inner, Fence fence) : DelegatingBlockDevice(inner)
{
    /// <inheritdoc/>
    protected override int TryMoveToPipeCore(long offset, int length, int pipe)
    {
        if (!fence.TryEnter())
            return 0;
        try
        {
            return Inner.TryMoveToPipe(offset, length, pipe);
        }
        finally
        {
            fence.Exit();
        }
    }

    /// <inheritdoc/>
    protected override bool TryMoveFromPipeCore(long offset, int length, int pipe)
    {
        if (!fence.TryEnter())
            return false;
        try
        {
            return Inner.TryMoveFromPipe(offset, length, pipe);
        }
        finally
        {
            fence.Exit();
        }
    }

    /// <inheritdoc/>
    protected override ValueTask ReadCoreAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Read(offset, buffer), cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteCoreAsync(
        long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Write(offset, buffer, flags), cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask FlushCoreAsync(CancellationToken cancellationToken) => PassAsync(DiskRequest.Flush, cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Trim(offset, length), cancellationToken);

    /// <inheritdoc/>
    protected override ValueTask WriteZeroesCoreAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken) =>
        PassAsync(DiskRequest.Zero(offset, length, flags), cancellationToken);

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    protected override async ValueTask<Extent> GetExtentCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        await fence.EnterAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await Inner.GetExtentAsync(offset, length, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            fence.Exit();
        }
    }

    /// <inheritdoc/>
    protected override async ValueTask ResizeCoreAsync(long length, CancellationToken cancellationToken)
    {
        await fence.EnterAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await Inner.ResizeAsync(length, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            fence.Exit();
        }
    }

    private ValueTask PassAsync(in DiskRequest request, CancellationToken cancellationToken)
    {
        if (!fence.TryEnter())
            return QueueAsync(request, cancellationToken);
        ValueTask sent;
        try
        {
            sent = request.SendAsync(Inner, cancellationToken);
        }
        catch
        {
            fence.Exit();
            throw;
        }

        return fence.ExitAfterAsync(sent);
    }

    private async ValueTask QueueAsync(DiskRequest request, CancellationToken cancellationToken)
    {
        await fence.EnterAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await request.SendAsync(Inner, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            fence.Exit();
        }
    }
}
