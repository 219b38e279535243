using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>
/// The server's half of the fixed newstyle handshake: answers options until the client chooses an export or leaves.
/// </summary>
/// <remarks>Length and number of options are limited, and the connection sets a time limit around it all, so that nobody
/// can hold a thread for nothing.</remarks>
internal sealed class Handshake(IReadOnlyList<NbdExport> exports, InputBuffer input, OutputBuffer output)
{
    /// <summary>Below the time limit of the handshake: the client is to learn why.</summary>
    private static readonly TimeSpan LongestSupersession = TimeSpan.FromSeconds(10);

    private readonly OptionReader _options = new(input);
    private readonly OptionReplies _replies = new(output);
    private readonly MetaContexts _contexts = new(output);
    private bool _noZeroes;
    private bool _encrypted;
    private NbdHeaderForm _form;
    private NbdExport? _writesTo;
    private long _epoch;

    /// <summary>Runs it, from the greeting on.</summary>
    /// <returns>The session, or null when the client said goodbye.</returns>
    /// <exception cref="DisconnectException">The client hung up or sent what cannot be answered.</exception>
    public Session? Run()
    {
        _replies.Greeting();
        output.Flush();
        _noZeroes = _options.ReadClientFlags();
        return Haggle();
    }

    /// <summary>Runs what is left of it once the connection is encrypted: the options, from the beginning.</summary>
    /// <param name="noZeroes">The client's flag, sent before.</param>
    /// <returns>The session, or null when the client said goodbye.</returns>
    /// <exception cref="DisconnectException">The client hung up or sent what cannot be answered.</exception>
    public Session? RunEncrypted(bool noZeroes)
    {
        _noZeroes = noZeroes;
        _encrypted = true;
        return Haggle();
    }

    private Session? Haggle()
    {
        for (var count = 0; count < OptionReader.MaxOptions; count++)
        {
            var (option, length) = _options.ReadOption();
            var ended = Answer(option, input.Peek(length), out var session);
            input.Consume(length);
            output.Flush();
            if (ended)
                return session;
        }

        throw new DisconnectException($"more than {OptionReader.MaxOptions} options in one handshake");
    }

    /// <summary>Answers one option. True when it was the last one.</summary>
    private bool Answer(uint option, ReadOnlySpan<byte> data, out Session? session)
    {
        session = null;
        switch ((NbdOption)option)
        {
            case NbdOption.ExportName:
                session = ChooseByName(data);
                return true;
            case NbdOption.Abort:
                _replies.Ack(option);
                return true;
            case NbdOption.List:
                List(option, data);
                return false;
            case NbdOption.Info:
                Describe(option, data);
                return false;
            case NbdOption.Go:
                session = Describe(option, data);
                return session is not null;
            case NbdOption.StructuredReply:
                ChooseForm(option, data, NbdHeaderForm.Structured);
                return false;
            case NbdOption.ExtendedHeaders:
                ChooseForm(option, data, NbdHeaderForm.Extended);
                return false;
            case NbdOption.ListMetaContext:
            case NbdOption.SetMetaContext:
                _contexts.Answer(option, data, _form != NbdHeaderForm.Simple, Find);
                return false;
            case NbdOption.Supersede:
                Supersede(option, data);
                return false;
            case NbdOption.StartTls when _encrypted:
                _replies.Error(option, NbdOptionReply.Invalid, "the connection is encrypted already");
                return false;
            default:
                _replies.Error(option, NbdOptionReply.Unsupported, "this server does not offer that option");
                return false;
        }
    }

    private Session ChooseByName(ReadOnlySpan<byte> name)
    {
        var export = Find(name) ?? throw new DisconnectException("the client asked for an export that does not exist");
        var session = NewSession(export);
        _replies.ExportName(session, _noZeroes);
        return session;
    }

    private void List(uint option, ReadOnlySpan<byte> data)
    {
        if (!data.IsEmpty)
        {
            _replies.Error(option, NbdOptionReply.Invalid, "LIST takes no data");
            return;
        }

        for (var i = 0; i < exports.Count; i++)
            _replies.Server(option, exports[i]);
        _replies.Ack(option);
    }

    private void ChooseForm(uint option, ReadOnlySpan<byte> data, NbdHeaderForm form)
    {
        if (!data.IsEmpty || _form == form)
        {
            _replies.Error(option, NbdOptionReply.Invalid, "the option takes no data and is asked for once");
            return;
        }

        if (_form > form)
        {
            _replies.Error(option, NbdOptionReply.ExtendedHeadersRequired, "EXTENDED_HEADERS has been agreed on and goes further");
            return;
        }

        _form = form;
        _replies.Ack(option);
    }

    /// <summary>Answers INFO or GO. Null when the option was refused.</summary>
    private Session? Describe(uint option, ReadOnlySpan<byte> data)
    {
        if (!InformationRequest.TryRead(data, out var request))
        {
            _replies.Error(option, NbdOptionReply.Invalid, "the lengths inside the option do not add up");
            return null;
        }

        if (Find(request.Name) is not { } export)
        {
            _replies.Error(option, NbdOptionReply.Unknown, "no export of that name; LIST names them");
            return null;
        }

        if (!request.BlockSize && export.Device.Capabilities.SectorSize > InformationRequest.AssumedSector)
        {
            _replies.Error(
                option, NbdOptionReply.BlockSizeRequired, $"requests have to be multiples of {export.Device.Capabilities.SectorSize} bytes; ask for the block size");
            return null;
        }

        var session = NewSession(export);
        _replies.InfoExport(option, session);
        if (request.CanonicalName)
            _replies.InfoText(option, NbdInformation.Name, export.NameBytes);
        if (request.Description && !export.DescriptionBytes.IsEmpty)
            _replies.InfoText(option, NbdInformation.Description, export.DescriptionBytes);
        _replies.InfoBlockSize(option, export);
        _replies.Ack(option);
        return session;
    }

    private void Supersede(uint option, ReadOnlySpan<byte> data)
    {
        var text = new OptionText(data);
        if (!text.TryString(out var name) || !text.TryUInt64(out var epoch) || !text.IsAtEnd || epoch is 0 or > long.MaxValue)
        {
            _replies.Error(option, NbdOptionReply.Invalid, "it takes the export's name and an epoch from 1 to 2^63 - 1");
            return;
        }

        if (Find(name) is not { } export)
        {
            _replies.Error(option, NbdOptionReply.Unknown, "no export of that name; LIST names them");
            return;
        }

        switch (export.Writers.Supersede((long)epoch, LongestSupersession))
        {
            case Supersession.Done:
                (_writesTo, _epoch) = (export, (long)epoch);
                _replies.Ack(option);
                break;
            case Supersession.Stale:
                _replies.Error(option, NbdOptionReply.Policy, "a writer of a later epoch has been here");
                break;
            default:
                _replies.Error(option, NbdOptionReply.Policy, "the device still works on requests of an earlier epoch; try again");
                break;
        }
    }

    private Session NewSession(NbdExport export) =>
        _contexts.SessionOf(export, _form) with { WriterEpoch = ReferenceEquals(_writesTo, export) ? _epoch : 0 };

    private NbdExport? Find(ReadOnlySpan<byte> name)
    {
        for (var i = 0; i < exports.Count; i++)
        {
            if (exports[i].NameBytes.SequenceEqual(name))
                return exports[i];
        }

        return name.IsEmpty && exports.Count == 1 ? exports[0] : null;
    }
}
