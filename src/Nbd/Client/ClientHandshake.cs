using System.Buffers.Binary;
using System.Net;
using System.Text;
using Godwit.Nbd.Protocol;
using Godwit.Nbd.Tls;
using Godwit.Storage;

namespace Godwit.Nbd.Client;

/// <summary>The client's half of the fixed newstyle handshake: extended headers or structured replies, meta contexts, GO.</summary>
/// <remarks>Everything a server sends is checked: lengths are limited and anything unexpected ends the attempt.</remarks>
internal sealed class ClientHandshake(ClientStream stream, string exportName, NbdClientOptions options, EndPoint server)
{
    private readonly OptionExchange _options = new(stream);
    private readonly byte[] _name = Encoding.UTF8.GetBytes(exportName);
    private long _size = -1;
    private NbdTransmissionFlags _flags;
    private uint _minBlock = 1;
    private uint _preferredBlock = 4096;
    private uint _maxPayload = NbdMagic.MaxPayload;

    /// <summary>Runs it.</summary>
    /// <exception cref="StorageException">The server has no such export, refuses us, or breaks the protocol.</exception>
    public async ValueTask<ClientSession> RunAsync(CancellationToken cancellationToken)
    {
        await GreetAsync(cancellationToken).ConfigureAwait(false);
        if (options.Tls is { } identity)
            await EncryptAsync(identity, cancellationToken).ConfigureAwait(false);
        var form = await ChooseFirstAsync(cancellationToken).ConfigureAwait(false);
        var contexts = form == NbdHeaderForm.Simple
            ? new ClientContexts(null)
            : await ChooseContextsAsync(cancellationToken).ConfigureAwait(false);
        if (options.ChangesSince is { } point && contexts.Changes is null)
            throw new StorageException(StorageErrorKind.NotFound, $"export \"{exportName}\" has no point \"{point}\"", stream.Path);
        if (options.WriterEpoch > 0)
            await SupersedeAsync(cancellationToken).ConfigureAwait(false);
        var refusal = await _options.AskAsync(NbdOption.Go, GoRequest(), TakeInformation, cancellationToken).ConfigureAwait(false);
        if (refusal is { } error)
            throw Refused(error.Type, error.Message);
        return Conclude(form, contexts);
    }

    private async ValueTask GreetAsync(CancellationToken cancellationToken)
    {
        var greeting = new byte[18];
        await stream.ReadAsync(greeting, cancellationToken).ConfigureAwait(false);
        if (BinaryPrimitives.ReadUInt64BigEndian(greeting) != NbdMagic.Init
            || BinaryPrimitives.ReadUInt64BigEndian(greeting.AsSpan(8)) != NbdMagic.Option)
        {
            throw _options.Broken("the greeting is not that of a newstyle NBD server");
        }

        var offered = BinaryPrimitives.ReadUInt16BigEndian(greeting.AsSpan(16));
        if ((offered & NbdMagic.FixedNewstyle) == 0)
            throw new StorageException(StorageErrorKind.Unsupported, "the NBD server is too old: no fixed newstyle handshake", stream.Path);
        var flags = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(flags, (uint)(NbdMagic.FixedNewstyle | (offered & NbdMagic.NoZeroes)));
        await stream.WriteAsync(flags, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask EncryptAsync(NbdTlsIdentity identity, CancellationToken cancellationToken)
    {
        var name = ServerName.Of(server, options.ServerName, stream.Path);
        var refusal = await _options.AskAsync(NbdOption.StartTls, [], null, cancellationToken).ConfigureAwait(false);
        if (refusal is { } error)
        {
            throw new StorageException(
                StorageErrorKind.Unsupported, $"the NBD server does not encrypt ({error.Type}): {error.Message}", stream.Path);
        }

        await stream.EncryptAsync(identity, name, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<NbdHeaderForm> ChooseFirstAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await ChooseFormAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (StorageException closed) when (options.Tls is not null && closed.Kind == StorageErrorKind.Closed)
        {
            // With TLS 1.3 a server looks at our certificate after we are through: its refusal takes the place of the first answer.
            throw new StorageException(
                StorageErrorKind.AccessDenied, "the NBD server ended TLS at once; it may not accept our certificate", stream.Path, inner: closed);
        }
    }

    /// <summary>Agrees on the best form the server knows.</summary>
    private async ValueTask<NbdHeaderForm> ChooseFormAsync(CancellationToken cancellationToken)
    {
        if (options.BestForm == NbdHeaderForm.Extended
            && await _options.AskAsync(NbdOption.ExtendedHeaders, [], null, cancellationToken).ConfigureAwait(false) is null)
        {
            return NbdHeaderForm.Extended;
        }

        return options.BestForm != NbdHeaderForm.Simple
            && await _options.AskAsync(NbdOption.StructuredReply, [], null, cancellationToken).ConfigureAwait(false) is null
            ? NbdHeaderForm.Structured
            : NbdHeaderForm.Simple;
    }

    private async ValueTask<ClientContexts> ChooseContextsAsync(CancellationToken cancellationToken)
    {
        var contexts = new ClientContexts(options.ChangesSince);
        var refusal = await _options.AskAsync(NbdOption.SetMetaContext, contexts.Request(_name), Take, cancellationToken).ConfigureAwait(false);
        return refusal is null ? contexts : new ClientContexts(null);

        void Take(NbdOptionReply type, byte[] data)
        {
            if (!contexts.TryTake(type, data))
                throw _options.Broken("the answer to SET_META_CONTEXT is not a context that was asked for");
        }
    }

    private async ValueTask SupersedeAsync(CancellationToken cancellationToken)
    {
        var request = new byte[4 + _name.Length + 8];
        BinaryPrimitives.WriteUInt32BigEndian(request, (uint)_name.Length);
        _name.CopyTo(request, 4);
        BinaryPrimitives.WriteInt64BigEndian(request.AsSpan(4 + _name.Length), options.WriterEpoch);
        var refusal = await _options.AskAsync(NbdOption.Supersede, request, null, cancellationToken).ConfigureAwait(false);
        if (refusal is { Type: NbdOptionReply.Unsupported })
        {
            throw new StorageException(
                StorageErrorKind.Unsupported, "the NBD server cannot end an earlier connection of ours; it has to be one of Godwit", stream.Path);
        }

        if (refusal is { } error)
            throw Refused(error.Type, error.Message);
    }

    private void TakeInformation(NbdOptionReply type, byte[] data)
    {
        if (type != NbdOptionReply.Info || data.Length < 2)
            throw _options.Broken("the answer to GO is not information about the export");
        switch ((NbdInformation)BinaryPrimitives.ReadUInt16BigEndian(data))
        {
            case NbdInformation.Export when data.Length == 12:
                _size = BinaryPrimitives.ReadInt64BigEndian(data.AsSpan(2));
                _flags = (NbdTransmissionFlags)BinaryPrimitives.ReadUInt16BigEndian(data.AsSpan(10));
                break;
            case NbdInformation.BlockSize when data.Length == 14:
                _minBlock = BinaryPrimitives.ReadUInt32BigEndian(data.AsSpan(2));
                _preferredBlock = BinaryPrimitives.ReadUInt32BigEndian(data.AsSpan(6));
                _maxPayload = BinaryPrimitives.ReadUInt32BigEndian(data.AsSpan(10));
                break;
            case NbdInformation.Export or NbdInformation.BlockSize:
                throw _options.Broken("information about the export has a wrong length");
            default:
                break;
        }
    }

    private ClientSession Conclude(NbdHeaderForm form, ClientContexts contexts)
    {
        if (_size < 0 || (_flags & NbdTransmissionFlags.HasFlags) == 0)
            throw _options.Broken("the server did not give the export's size and flags");
        if (!IsPowerOfTwo(_minBlock) || _minBlock > 64 << 10 || !IsPowerOfTwo(_preferredBlock) || _preferredBlock < _minBlock
            || _maxPayload < Math.Max(_minBlock, 4096))
        {
            throw _options.Broken($"block sizes {_minBlock}/{_preferredBlock}/{_maxPayload} make no sense");
        }

        var sector = Math.Max(_minBlock, 512);
        var max = Math.Min(_maxPayload, NbdMagic.MaxPayload) & ~(sector - 1);
        return new ClientSession(
            _size, _flags, (int)sector, (int)Math.Clamp(_preferredBlock, sector, 1 << 20), (int)max, form, contexts);
    }

    private byte[] GoRequest()
    {
        var request = new byte[4 + _name.Length + 4];
        BinaryPrimitives.WriteUInt32BigEndian(request, (uint)_name.Length);
        _name.CopyTo(request, 4);
        BinaryPrimitives.WriteUInt16BigEndian(request.AsSpan(4 + _name.Length), 1);
        BinaryPrimitives.WriteUInt16BigEndian(request.AsSpan(6 + _name.Length), (ushort)NbdInformation.BlockSize);
        return request;
    }

    private StorageException Refused(NbdOptionReply type, string message)
    {
        var kind = type switch
        {
            NbdOptionReply.Unknown => StorageErrorKind.NotFound,
            NbdOptionReply.Policy or NbdOptionReply.TlsRequired => StorageErrorKind.AccessDenied,
            _ => StorageErrorKind.Unsupported,
        };
        return new StorageException(kind, $"the NBD server refused export \"{exportName}\" ({type}): {message}", stream.Path);
    }

    private static bool IsPowerOfTwo(uint value) => value != 0 && (value & (value - 1)) == 0;
}
