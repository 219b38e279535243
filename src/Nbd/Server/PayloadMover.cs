using Godwit.Nbd.Interop;
using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Nbd.Server;

/// <summary>The payload of a large write on its way from the socket to the device through a pipe: copied once, into the page cache,
/// and never into this program's memory. Used by the connection's thread.</summary>
/// <remarks>Works on one request at a time, chunk by chunk. What the device does not take at once goes the usual way, through
/// the input buffer, and so do the next large writes: a device that refuses once mostly goes on to.</remarks>
internal sealed class PayloadMover(Wire wire, PayloadPipe pipe, InputBuffer input, BlockDevice device)
{
    private const int UsualWayAfterRefusal = 32;

    private int _usualWay;

    /// <summary>Bytes of the request's payload that are on the device.</summary>
    public int Moved { get; private set; }

    /// <summary>Bytes of the request's payload that have left the socket through the pipe.</summary>
    public int Taken { get; private set; }

    /// <summary>The next request is likely to be a large write: receive its header alone, so that the payload can be moved.</summary>
    public bool ExpectsPayload { get; private set; }

    /// <summary>Whether to <see cref="TryMove"/> the payload of a request that waits in the socket.</summary>
    public bool Takes(in RequestHeader request) => _usualWay == 0 && Suits(request) && pipe.Takes(ChunkOf(request));

    /// <summary>Moves as much of the payload as the device takes at once. What has left the socket otherwise is in the input, behind the header.</summary>
    /// <returns>False when the peer is gone.</returns>
    /// <exception cref="StorageException">The device failed.</exception>
    public bool TryMove(in RequestHeader request)
    {
        while (Moved < (int)request.Length)
        {
            var count = Math.Min(PayloadPipe.MaxMoved, (int)request.Length - Moved);
            var received = wire.MoveTo(pipe, count);
            if (received < 0)
                return false;
            Taken += received;
            if (received < count || !device.TryMoveFromPipe((long)request.Offset + Moved, count, pipe.Out))
            {
                _usualWay = UsualWayAfterRefusal;
                return input.TakeFrom(pipe, received, request.HeaderLength + (int)request.Length - Moved);
            }

            Moved += count;
        }

        return true;
    }

    /// <summary>The request has been dealt with; what it was tells what to expect.</summary>
    public void Finish(in RequestHeader request)
    {
        var isLarge = Suits(request);
        if (isLarge && Moved < (int)request.Length && _usualWay > 0)
            _usualWay--;
        ExpectsPayload = isLarge && _usualWay == 0;
        Moved = Taken = 0;
    }

    private static int ChunkOf(in RequestHeader request) => (int)Math.Min(PayloadPipe.MaxMoved, request.Length);

    private static bool Suits(in RequestHeader request) => request.Command == NbdCommand.Write && request.Length >= PayloadPipe.MinMoved
        && (request.Flags & NbdCommandFlags.ForceUnitAccess) == 0;
}
