using System.Net.Sockets;
using System.Runtime.InteropServices;
using Godwit.Storage.Reading;

namespace Godwit.Nbd.Interop;

/// <summary>A connected stream socket as the connection's thread uses it: blocking, without a task or a lock per call.</summary>
/// <remarks>Receive, send and wait belong to one thread; <see cref="EndInput"/>, <see cref="Cut"/> and
/// <see cref="Wake"/> may be called from any.</remarks>
internal sealed unsafe class Wire : IDisposable
{
    // A whole large reply on its way while the client still takes the one before; the kernel cuts it to its own limit.
    private const int SendBuffer = 4 << 20;

    private readonly Socket _socket;
    private readonly int _descriptor;
    private readonly int _wakeDescriptor;
    private readonly bool _held;
    private readonly AdaptiveWait _wait = new();

    /// <summary>Takes the socket over.</summary>
    /// <param name="socket">A connected stream socket; disposed with this object.</param>
    /// <exception cref="SocketException">The process has no descriptors left.</exception>
    public Wire(Socket socket)
    {
        _socket = socket;
        _wakeDescriptor = SocketCalls.EventFd(0, SocketCalls.EventFdFlags);
        if (_wakeDescriptor < 0)
            throw new SocketException((int)SocketError.TooManyOpenSockets);
        if (socket.ProtocolType == ProtocolType.Tcp)
            socket.NoDelay = true;
        socket.SendBufferSize = SendBuffer;
        socket.SafeHandle.DangerousAddRef(ref _held);
        _descriptor = (int)socket.SafeHandle.DangerousGetHandle();
    }

    /// <summary>Reads of files that complete when the connection's thread waits; null before it has begun to serve.</summary>
    public ReadLoop? Reads { get; set; }

    /// <summary>Receives what is there, waiting for at least one byte.</summary>
    /// <returns>Bytes received; 0 when the peer has hung up or the connection is broken.</returns>
    public int Receive(PinnedBuffer buffer, int offset, int count)
    {
        // Mostly there is something: no clock is read then.
        var received = SocketCalls.Receive(_descriptor, buffer.At(offset), (nuint)count, SocketCalls.DontWait);
        if (received < 0)
        {
            _wait.Begin();
            received = WaitAndReceive(buffer, offset, count);
            _wait.End();
        }

        return (int)received;
    }

    /// <summary>Moves what the peer sends into an empty pipe, waiting for it.</summary>
    /// <returns>Bytes in the pipe; fewer than asked for when they came in so many pieces that it is full; -1 when the peer is gone.</returns>
    public int MoveTo(PayloadPipe pipe, int count)
    {
        var done = 0;
        var waited = false;
        while (done < count)
        {
            // Never waits for room in the pipe: nobody but us would make any.
            var moved = SocketCalls.Splice(
                _descriptor, null, pipe.In, null, (nuint)(count - done), SocketCalls.SpliceMove | SocketCalls.SpliceNonBlocking);
            if (moved > 0)
                done += (int)moved;
            else if (moved == 0 || (!waited && !CanRetry(SocketCalls.PollIn)))
                return -1;
            else if (waited)
                break;
            waited = moved < 0;
        }

        return done;
    }

    /// <summary>Sends all of a range, waiting for the peer to take it.</summary>
    /// <param name="buffer">The memory.</param>
    /// <param name="offset">First byte.</param>
    /// <param name="count">Bytes.</param>
    /// <param name="more">More follows at once.</param>
    /// <returns>False when the peer is gone.</returns>
    public bool Send(PinnedBuffer buffer, int offset, int count, bool more = false)
    {
        var flags = SocketCalls.NoSignal | (more ? SocketCalls.More : 0);
        while (count > 0)
        {
            var sent = SocketCalls.Send(_descriptor, buffer.At(offset), (nuint)count, flags);
            if (sent > 0)
            {
                offset += (int)sent;
                count -= (int)sent;
            }
            else if (!CanRetry(SocketCalls.PollOut))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Sends what is in a pipe, waiting for the peer to take it.</summary>
    /// <returns>False when the peer is gone; the pipe may hold a rest then.</returns>
    public bool Send(PayloadPipe pipe, int count)
    {
        while (count > 0)
        {
            var sent = SocketCalls.Splice(pipe.Out, null, _descriptor, null, (nuint)count, SocketCalls.SpliceMove);
            if (sent > 0)
                count -= (int)sent;
            else if (sent == 0 || !CanRetry(SocketCalls.PollOut))
                return false;
        }

        return true;
    }

    /// <summary>Waits until there is input or <see cref="Wake"/> was called.</summary>
    /// <param name="alsoInput">False to wait for <see cref="Wake"/> alone.</param>
    /// <returns>True when <see cref="Receive"/> would not wait.</returns>
    public bool WaitForInputOrWake(bool alsoInput)
    {
        if (Reads is { Pending: > 0 })
            return WaitWithReads(alsoInput);
        var entries = stackalloc SocketCalls.PollEntry[2];
        entries[0] = new SocketCalls.PollEntry { Descriptor = _wakeDescriptor, Wanted = SocketCalls.PollIn };
        entries[1] = new SocketCalls.PollEntry { Descriptor = _descriptor, Wanted = SocketCalls.PollIn };
        if (SocketCalls.Poll(entries, alsoInput ? 2u : 1u, -1) < 0)
            return false;
        if (entries[0].Seen != 0)
            TakeWake();
        return alsoInput && entries[1].Seen != 0;
    }

    /// <summary>Ends a <see cref="WaitForInputOrWake"/>, now or the next one.</summary>
    public void Wake()
    {
        ulong one = 1;
        _ = SocketCalls.Write(_wakeDescriptor, (byte*)&one, sizeof(ulong));
    }

    /// <summary>Lets the thread see the end of the input once it has taken what had arrived.</summary>
    public void EndInput() => Shutdown(SocketShutdown.Receive);

    /// <summary>Breaks the connection: waiting receives and sends end at once.</summary>
    public void Cut() => Shutdown(SocketShutdown.Both);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_held)
            _socket.SafeHandle.DangerousRelease();
        _socket.Dispose();
        _ = SocketCalls.Close(_wakeDescriptor);
    }

    private bool WaitWithReads(bool alsoInput)
    {
        var (woken, hasInput) = Reads!.Wait(_wakeDescriptor, alsoInput ? _descriptor : -1);
        if (woken)
            TakeWake();
        if (!alsoInput || !hasInput)
            return false;

        // The ring may speak of input that has been received since it began to watch.
        var entry = new SocketCalls.PollEntry { Descriptor = _descriptor, Wanted = SocketCalls.PollIn };
        return SocketCalls.Poll(&entry, 1, 0) > 0;
    }

    private void TakeWake()
    {
        ulong count;
        _ = SocketCalls.Read(_wakeDescriptor, (byte*)&count, sizeof(ulong));
    }

    private nint WaitAndReceive(PinnedBuffer buffer, int offset, int count)
    {
        while (true)
        {
            var sleeps = !_wait.AskAgain();
            var received = SocketCalls.Receive(_descriptor, buffer.At(offset), (nuint)count, sleeps ? 0 : SocketCalls.DontWait);
            if (received >= 0)
                return received;
            if (sleeps && !CanRetry(SocketCalls.PollIn))
                return 0;
        }
    }

    private bool CanRetry(short wanted)
    {
        var error = Marshal.GetLastPInvokeError();
        if (error == SocketCalls.Interrupted)
            return true;
        if (error != SocketCalls.WouldBlock)
            return false;

        // Only when somebody made the descriptor non-blocking: an inherited one, for example.
        var entry = new SocketCalls.PollEntry { Descriptor = _descriptor, Wanted = wanted };
        return SocketCalls.Poll(&entry, 1, -1) >= 0 || Marshal.GetLastPInvokeError() == SocketCalls.Interrupted;
    }

    private void Shutdown(SocketShutdown how)
    {
        try
        {
            _socket.Shutdown(how);
        }
        catch (SocketException)
        {
            // Not connected any more: what was wanted.
        }
        catch (ObjectDisposedException)
        {
            // The connection's own thread was quicker.
        }
    }
}
