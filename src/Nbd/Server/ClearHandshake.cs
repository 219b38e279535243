using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>The handshake of a server that takes only encrypted connections, up to STARTTLS: nothing else is answered, and
/// nothing said before it counts afterwards.</summary>
internal sealed class ClearHandshake(InputBuffer input, OutputBuffer output)
{
    private readonly OptionReader _options = new(input);
    private readonly OptionReplies _replies = new(output);

    /// <summary>Runs it.</summary>
    /// <param name="noZeroes">The client's flag, which holds for the encrypted part too.</param>
    /// <returns>True when the client's next byte belongs to TLS; false when it said goodbye.</returns>
    /// <exception cref="DisconnectException">The client hung up, or asked for what cannot be refused in an answer.</exception>
    public bool TryReachTls(out bool noZeroes)
    {
        _replies.Greeting();
        output.Flush();
        noZeroes = _options.ReadClientFlags();
        for (var count = 0; count < OptionReader.MaxOptions; count++)
        {
            var (option, length) = _options.ReadOption();
            input.Consume(length);
            if (Answer(option, length) is { } encrypted)
                return encrypted;
        }

        throw new DisconnectException($"more than {OptionReader.MaxOptions} options in one handshake");
    }

    /// <summary>Answers one option. Not null when it was the last one in clear.</summary>
    private bool? Answer(uint option, int length)
    {
        switch ((NbdOption)option)
        {
            case NbdOption.StartTls when length == 0:
                return StartTls(option);
            case NbdOption.StartTls:
                _replies.Error(option, NbdOptionReply.Invalid, "STARTTLS takes no data");
                break;
            case NbdOption.Abort:
                _replies.Ack(option);
                output.Flush();
                return false;
            case NbdOption.ExportName:
                throw new DisconnectException("the client asked for an export in clear; this server takes only encrypted connections");
            default:
                _replies.Error(option, NbdOptionReply.TlsRequired, "this server takes only encrypted connections; STARTTLS has to come first");
                break;
        }

        output.Flush();
        return null;
    }

    private bool StartTls(uint option)
    {
        // What stands behind the option was put there by somebody who did not wait for the answer: perhaps not by the client.
        if (input.Count > 0)
            throw new DisconnectException("something was sent in clear behind STARTTLS");
        _replies.Ack(option);
        output.Flush();
        return true;
    }
}
