using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>A request that is answered with an error once the rest of its payload has been read and thrown away. Used by the connection's thread.</summary>
internal sealed class RefusedRequest(InputBuffer input, ReplyWriter replies, Session session)
{
    /// <summary>A refused payload up to this size is read and thrown away; beyond it the client is cut off.</summary>
    private const ulong MaxSkipped = 2 * NbdMagic.MaxPayload;

    private RequestHeader _request;
    private NbdError _error;
    private Exception? _failure;
    private ulong _toSkip;

    /// <summary>A payload is still being thrown away.</summary>
    public bool IsPending => _toSkip > 0;

    /// <summary>Refuses a request that the device has not seen; its header is at the start of the input.</summary>
    /// <exception cref="DisconnectException">Its payload is too long to be read for nothing.</exception>
    public void Begin(in RequestHeader request, NbdError error)
    {
        if (request.PayloadLength > MaxSkipped)
            throw new DisconnectException($"a payload of {request.PayloadLength} bytes, the limit is {NbdMagic.MaxPayload}");
        Begin(request, error, null, request.PayloadLength);
    }

    /// <summary>Answers a request that failed on the device before all of its payload had come.</summary>
    /// <param name="request">Its header is at the start of the input.</param>
    /// <param name="failure">What the device said.</param>
    /// <param name="rest">Bytes of the payload still to come.</param>
    public void Begin(in RequestHeader request, Exception failure, ulong rest) => Begin(request, NbdError.None, failure, rest);

    /// <summary>Throws away what has come of the payload, and answers when that was all.</summary>
    /// <returns>False when more is to come.</returns>
    public bool TryFinish()
    {
        if (_toSkip == 0)
            return true;
        var count = (int)Math.Min(_toSkip, (ulong)input.Count);
        input.Consume(count);
        _toSkip -= (uint)count;
        if (_toSkip == 0)
            Answer();
        return _toSkip == 0;
    }

    private void Begin(in RequestHeader request, NbdError error, Exception? failure, ulong toSkip)
    {
        input.Consume(request.HeaderLength);
        (_request, _error, _failure, _toSkip) = (request, error, failure, toSkip);
        if (_toSkip == 0)
            Answer();
    }

    private void Answer()
    {
        if (_failure is { } failure)
            replies.Failure(_request.Tag, failure);
        else
            replies.Error(_request.Tag, _error, Refusals.Reason(_request, _error, session));
        _failure = null;
    }
}
