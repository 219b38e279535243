using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Client;

/// <summary>What the client's handshake found out.</summary>
/// <param name="Size">Size of the export in bytes.</param>
/// <param name="Flags">What the server offers.</param>
/// <param name="MinBlock">Alignment the server asks for, in bytes.</param>
/// <param name="PreferredBlock">Below it a write is dear, in bytes.</param>
/// <param name="MaxPayload">Most bytes of one read or write.</param>
/// <param name="StructuredReplies">Reads are answered in chunks.</param>
/// <param name="BaseAllocationId">Number of the base:allocation context, or null when the server has none.</param>
internal sealed record ClientSession(
    long Size, NbdTransmissionFlags Flags, int MinBlock, int PreferredBlock, int MaxPayload, bool StructuredReplies, uint? BaseAllocationId)
{
    /// <summary>Whether the server offers something.</summary>
    public bool Has(NbdTransmissionFlags flag) => (Flags & flag) != 0;
}
