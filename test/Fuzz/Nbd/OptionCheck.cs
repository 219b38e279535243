using System.Buffers.Binary;
using System.Text;
using Godwit.Fuzz.Engine;
using Godwit.Nbd.Protocol;

namespace Godwit.Fuzz.Nbd;

/// <summary>Holds the answers of a handshake against its options.</summary>
/// <param name="session">The session.</param>
/// <param name="signals">Is told what was answered.</param>
/// <param name="rival">Who else may have said an epoch.</param>
internal sealed class OptionCheck(SessionModel session, Signals signals, RivalVisit? rival)
{
    private const int GreetingLength = 18;
    private const int MaxAnswer = 64 << 10;

    /// <summary>Judges.</summary>
    /// <param name="answers">All that was said.</param>
    /// <returns>What was said after the handshake.</returns>
    /// <exception cref="FuzzFinding">An option was answered otherwise than it must be.</exception>
    public ReadOnlySpan<byte> Judge(ReadOnlySpan<byte> answers)
    {
        if (answers.Length < GreetingLength || BinaryPrimitives.ReadUInt64BigEndian(answers) != NbdMagic.Init
            || BinaryPrimitives.ReadUInt64BigEndian(answers[8..]) != NbdMagic.Option)
        {
            throw new FuzzFinding("the server does not greet");
        }

        var rest = answers[GreetingLength..];
        foreach (var option in session.Options)
            rest = option.Final is { } final ? TakeAnswers(rest, option, final) : TakeExportName(rest, option);
        return session.Export is not null || rest.IsEmpty ? rest : throw new FuzzFinding($"{rest.Length} bytes more than there were options to answer");
    }

    private ReadOnlySpan<byte> TakeAnswers(ReadOnlySpan<byte> rest, AskedOption option, NbdOptionReply final)
    {
        for (var between = 0; ; between++)
        {
            if (rest.Length < NbdMagic.OptionReplyLength || BinaryPrimitives.ReadUInt64BigEndian(rest) != NbdMagic.OptionReply)
                throw new FuzzFinding($"option {(uint)option.Number} is not answered");
            var kind = (NbdOptionReply)BinaryPrimitives.ReadUInt32BigEndian(rest[12..]);
            var length = BinaryPrimitives.ReadUInt32BigEndian(rest[16..]);
            if (BinaryPrimitives.ReadUInt32BigEndian(rest[8..]) != (uint)option.Number)
                throw new FuzzFinding("an answer to an option that was not sent");
            if (length > MaxAnswer || length > rest.Length - NbdMagic.OptionReplyLength)
                throw new FuzzFinding($"an answer of {length} bytes to an option");
            signals.Note($"option {(uint)option.Number} {kind}");
            var data = rest.Slice(NbdMagic.OptionReplyLength, (int)length);
            rest = rest[(NbdMagic.OptionReplyLength + (int)length)..];
            if (kind == NbdOptionReply.Ack || (kind & NbdOptionReply.ErrorBit) != 0)
            {
                ExpectFinal(option, final, kind, between);
                return rest;
            }

            ExpectBetween(option, kind, data);
        }
    }

    private void ExpectFinal(AskedOption option, NbdOptionReply final, NbdOptionReply kind, int between)
    {
        // Where somebody else has come with an epoch of his own, it depends on who was first.
        var mayBeLate = option.Number == NbdOption.Supersede && rival is not null && final == NbdOptionReply.Ack && kind == NbdOptionReply.Policy;
        if (kind != final && !mayBeLate)
            throw new FuzzFinding($"option {option.Number} is answered with {kind} where {final} must be");
        if (mayBeLate)
            option.Epoch = 0;
        if (kind == NbdOptionReply.Ack && option.Between is { } expected && expected != between)
            throw new FuzzFinding($"option {option.Number} has {between} answers where {expected} must be");
    }

    private static void ExpectBetween(AskedOption option, NbdOptionReply kind, ReadOnlySpan<byte> data)
    {
        var fits = (option.Number, kind) switch
        {
            (NbdOption.List, NbdOptionReply.Server) => true,
            (NbdOption.Info or NbdOption.Go, NbdOptionReply.Info) => true,
            (NbdOption.ListMetaContext or NbdOption.SetMetaContext, NbdOptionReply.MetaContext) => IsContext(option, data),
            _ => false,
        };
        if (!fits)
            throw new FuzzFinding($"option {option.Number} is answered with {kind}");
        if (kind == NbdOptionReply.Info && data.Length == 12 && BinaryPrimitives.ReadUInt16BigEndian(data) == (ushort)NbdInformation.Export
            && BinaryPrimitives.ReadInt64BigEndian(data[2..]) != option.Export!.Size)
        {
            throw new FuzzFinding($"export {option.Export.Name} has {BinaryPrimitives.ReadInt64BigEndian(data[2..])} bytes, they say");
        }
    }

    private static bool IsContext(AskedOption option, ReadOnlySpan<byte> data)
    {
        if (data.Length < 4 || option.Export is not { } export)
            return false;
        var context = export.Match(Encoding.Latin1.GetString(data[4..]), lists: false);
        return context != 0 && BinaryPrimitives.ReadUInt32BigEndian(data) == (option.Number == NbdOption.SetMetaContext ? context : 0);
    }

    /// <summary>The old way to name an export has an answer without a head, with or without 124 zeroes.</summary>
    private ReadOnlySpan<byte> TakeExportName(ReadOnlySpan<byte> rest, AskedOption option)
    {
        var length = session.NoZeroes ? 10 : 134;
        if (rest.Length < length || BinaryPrimitives.ReadInt64BigEndian(rest) != option.Export!.Size || rest[10..length].ContainsAnyExcept((byte)0))
            throw new FuzzFinding("EXPORT_NAME is not answered as it must be");
        return rest[length..];
    }
}
