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
    /// <summary>A refused payload up to this size is read and thrown away; beyond it the client is cut off.</summary>
    private const ulong MaxSkipped = 2 * NbdMagic.MaxPayload;

    private readonly Wire _wire;
    private readonly InputBuffer _input;
    private readonly OutputBuffer _output;
    private readonly Session _session;
    private readonly ReplyWriter _replies;
    private readonly PendingRequests _pending;
    private readonly RequestServer _server;
    private readonly BufferPool _pool;
    private readonly int _headerLength;

    private RequestHeader _refused;
    private NbdError _refusal;
    private ulong _toSkip;

    public Transmission(
        Wire wire, BufferPool pool, InputBuffer input, OutputBuffer output, ReplyPipe pipe, Session session, CancellationToken abort)
    {
        _wire = wire;
        _pool = pool;
        _input = input;
        _output = output;
        _session = session;
        _replies = new ReplyWriter(output, session.Form);
        _headerLength = RequestHeader.LengthOf(session.ExtendedHeaders);
        _pending = new PendingRequests(wire);
        _server = new RequestServer(session, input, output, pipe, _replies, _pending, abort);
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
            if (_toSkip > 0 && !Skip())
                return Next.Input;
            if (_input.Count < _headerLength)
                return Next.Input;
            if (!RequestHeader.TryParse(_input.Peek(_headerLength), _session.ExtendedHeaders, out var request))
                throw new DisconnectException("a request does not start with the magic");
            if (request.Command == NbdCommand.Disconnect)
                return Next.End;
            var error = RequestCheck.Check(request, _session);
            if (error != NbdError.None)
            {
                Refuse(request, error);
                continue;
            }

            var length = _headerLength + (int)request.PayloadLength;
            if (_input.Count < length)
            {
                needed = length;
                return Next.Input;
            }

            _server.Serve(request);
            _input.Consume(length);
        }
    }

    /// <summary>Answers a refused request, after its payload if it has one.</summary>
    private void Refuse(in RequestHeader request, NbdError error)
    {
        if (request.PayloadLength > MaxSkipped)
            throw new DisconnectException($"a payload of {request.PayloadLength} bytes, the limit is {NbdMagic.MaxPayload}");
        _input.Consume(_headerLength);
        (_refused, _refusal, _toSkip) = (request, error, request.PayloadLength);
        if (_toSkip == 0)
            AnswerRefused();
    }

    private bool Skip()
    {
        var count = (int)Math.Min(_toSkip, (ulong)_input.Count);
        _input.Consume(count);
        _toSkip -= (uint)count;
        if (_toSkip == 0)
            AnswerRefused();
        return _toSkip == 0;
    }

    private void AnswerRefused() => _replies.Error(_refused.Tag, _refusal, Refusals.Reason(_refused, _refusal, _session));

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

        return _input.Receive(needed);
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
