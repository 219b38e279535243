using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Client;

/// <summary>What the client's handshake found out.</summary>
/// <param name="Size">Size of the export in bytes.</param>
/// <param name="Flags">What the server offers.</param>
/// <param name="MinBlock">Alignment the server asks for, in bytes.</param>
/// <param name="PreferredBlock">Below it a write is dear, in bytes.</param>
/// <param name="MaxPayload">Most bytes of one read or write.</param>
/// <param name="Form">How requests and replies look.</param>
/// <param name="Contexts">Meta contexts the server has.</param>
internal sealed record ClientSession(
    long Size, NbdTransmissionFlags Flags, int MinBlock, int PreferredBlock, int MaxPayload, NbdHeaderForm Form, ClientContexts Contexts)
{
    /// <summary>Reads are answered in chunks.</summary>
    public bool StructuredReplies { get; } = Form != NbdHeaderForm.Simple;

    /// <summary>Lengths have 64 bits.</summary>
    public bool ExtendedHeaders { get; } = Form == NbdHeaderForm.Extended;

    /// <summary>Whether the server offers something.</summary>
    public bool Has(NbdTransmissionFlags flag) => (Flags & flag) != 0;
}
