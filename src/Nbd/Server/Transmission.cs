using Godwit.Nbd.Interop;
using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>
/// The life of a connection after the handshake: receives as much as is there, serves every complete request in it, and
/// sends the replies together. One thread; no task, lock or allocation per request.
/// </summary>
/// <remarks>What the device cannot complete at once does not hold up what came after it: see <see cref="PendingRequests"/>.</remarks>
internal sealed class Transmission
{
    private readonly Wire _wire;
    private readonly InputBuffer _input;
    private readonly OutputBuffer _output;
    private readonly Session _session;
    private readonly ReplyWriter _replies;
    private readonly PendingRequests _pending;
    private readonly RequestServer _server;
    private readonly PayloadMover _mover;
    private readonly BufferPool _pool;
    private readonly RefusedRequest _refused;
    private readonly PayloadPipe _pipe;
    private readonly int _headerLength;

    public Transmission(
        Wire wire, BufferPool pool, InputBuffer input, OutputBuffer output, PayloadPipe pipe, Session session, CancellationToken abort)
    {
        _wire = wire;
        _pool = pool;
        _pipe = pipe;
        _input = input;
        _output = output;
        _session = session;
        _replies = new ReplyWriter(output, session.Form);
        _headerLength = RequestHeader.LengthOf(session.ExtendedHeaders);
        _pending = new PendingRequests(wire);
        _server = new RequestServer(session, input, output, pipe, _replies, _pending, abort);
        _refused = new RefusedRequest(input, _replies, session);
        _mover = new PayloadMover(wire, pipe, input, session.Export.Device);
    }

    private enum Next
    {
        Input,
        Completion,
        End,
    }

    /// <summary>Serves until the client leaves; everything started has been answered or dropped when it returns.</summary>
    /// <exception cref="DisconnectException">The client broke the protocol.</exception>
    public void Run()
    {
        try
        {
            while (!_output.IsBroken && ServeBuffered(out var needed) is var next and not Next.End)
            {
                _output.Flush();
                if (next == Next.Completion)
                    WaitForCompletion();
                else if (!ReceiveMore(needed))
                    break;
            }
        }
        finally
        {
            // The device may still be working in our memory, and what it completes is worth an answer.
            while (_pending.Count > 0)
                WaitForCompletion();
            _output.Flush();
        }
    }

    /// <summary>Serves every complete request that has been received.</summary>
    /// <param name="needed">Bytes the request at the start has in all, when it is not complete.</param>
    private Next ServeBuffered(out int needed)
    {
        needed = _headerLength;
        while (true)
        {
            if (_pending.IsFull)
                return Next.Completion;
            if (!_refused.TryFinish() || _input.Count < _headerLength)
                return Next.Input;
            if (!RequestHeader.TryParse(_input.Peek(_headerLength), _session.ExtendedHeaders, out var request))
                throw new DisconnectException("a request does not start with the magic");
            if (request.Command == NbdCommand.Disconnect)
                return Next.End;
            var error = RequestCheck.Check(request, _session);
            if (error != NbdError.None)
            {
                _refused.Begin(request, error);
                continue;
            }

            if (_input.Count == _headerLength && _pending.Count == 0 && _mover.Takes(request))
            {
                if (!TryMove(request))
                    return Next.End;
                continue;
            }

            var length = _headerLength + (int)request.PayloadLength - _mover.Moved;
            if (_input.Count < length)
            {
                needed = length;
                return Next.Input;
            }

            _server.Serve(request, _mover.Moved);
            _input.Consume(length);
            _mover.Finish(request);
        }
    }

    /// <summary>Takes the payload of a large write to the device without taking it into memory. What does not go so stays at the start of the
    /// input, as a request of which a part is done.</summary>
    /// <returns>False when the peer is gone.</returns>
    private bool TryMove(in RequestHeader request)
    {
        _output.Flush();
        try
        {
            if (!_mover.TryMove(request))
                return false;
            if (_mover.Moved < (int)request.Length)
                return true;
            _replies.Success(request.Tag);
            _input.Consume(_headerLength);
        }
        catch (Exception failure)
        {
            _pipe.Empty();
            _refused.Begin(request, failure, request.Length - (uint)_mover.Taken);
        }

        _mover.Finish(request);
        return true;
    }

    private bool ReceiveMore(int needed)
    {
        while (_pending.Count > 0)
        {
            var hasInput = !_pending.HasCompleted && _wire.WaitForInputOrWake(true);
            AnswerCompleted();
            _output.Flush();
            if (hasInput)
                break;
        }

        return _input.Receive(needed, noMore: _mover.ExpectsPayload && !_refused.IsPending);
    }

    private void WaitForCompletion()
    {
        if (!_pending.HasCompleted)
            _wire.WaitForInputOrWake(false);
        AnswerCompleted();
        _output.Flush();
    }

    private void AnswerCompleted()
    {
        for (var request = _pending.TakeCompleted(); request is not null;)
        {
            var next = request.Next;
            var lent = request.Lent;
            _server.AnswerCompleted(request);
            _pending.Remove(request);
            if (lent is { Users: 0 } && !ReferenceEquals(lent, _input.Buffer) && !ReferenceEquals(lent, _output.Buffer))
                _pool.Return(lent);
            request = next;
        }
    }
}
