using System.Buffers.Binary;
using System.Text;
using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Nbd.Client;

/// <summary>Options out, replies in, within limits.</summary>
internal sealed class OptionExchange(ClientStream stream)
{
    private const int MaxReplyLength = 64 << 10;
    private const int MaxReplies = 1024;

    /// <summary>Sends an option and reads replies up to the last one.</summary>
    /// <param name="option">What to send.</param>
    /// <param name="data">What goes with it.</param>
    /// <param name="take">Is given the replies before the last one; null when there may be none.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Null when the server agreed, else its refusal.</returns>
    public async ValueTask<(NbdOptionReply Type, string Message)?> AskAsync(
        NbdOption option, byte[] data, Action<NbdOptionReply, byte[]>? take, CancellationToken cancellationToken)
    {
        var request = new byte[NbdMagic.OptionHeaderLength + data.Length];
        BinaryPrimitives.WriteUInt64BigEndian(request, NbdMagic.Option);
        BinaryPrimitives.WriteUInt32BigEndian(request.AsSpan(8), (uint)option);
        BinaryPrimitives.WriteUInt32BigEndian(request.AsSpan(12), (uint)data.Length);
        data.CopyTo(request, NbdMagic.OptionHeaderLength);
        await stream.WriteAsync(request, cancellationToken).ConfigureAwait(false);
        for (var count = 0; count < MaxReplies; count++)
        {
            var (type, reply) = await ReadReplyAsync(option, cancellationToken).ConfigureAwait(false);
            if (type == NbdOptionReply.Ack)
                return null;
            if ((type & NbdOptionReply.ErrorBit) != 0)
                return (type, Encoding.UTF8.GetString(reply));
            if (take is null)
                throw Broken($"an answer of type {(uint)type} to option {(uint)option}");
            take(type, reply);
        }

        throw Broken($"more than {MaxReplies} answers to option {(uint)option}");
    }

    private async ValueTask<(NbdOptionReply Type, byte[] Data)> ReadReplyAsync(NbdOption option, CancellationToken cancellationToken)
    {
        var header = new byte[NbdMagic.OptionReplyLength];
        await stream.ReadAsync(header, cancellationToken).ConfigureAwait(false);
        var length = BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(16));
        if (BinaryPrimitives.ReadUInt64BigEndian(header) != NbdMagic.OptionReply
            || BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(8)) != (uint)option
            || length > MaxReplyLength)
        {
            throw Broken($"the answer to option {(uint)option} has a wrong magic, option or length");
        }

        var data = new byte[length];
        await stream.ReadAsync(data, cancellationToken).ConfigureAwait(false);
        return ((NbdOptionReply)BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(12)), data);
    }

    /// <summary>What to throw when the server does not keep to the protocol.</summary>
    public StorageException Broken(string what) =>
        new(StorageErrorKind.IoFailed, $"the NBD server broke the protocol: {what}", stream.Path, operation: "handshake");
}
