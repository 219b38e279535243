using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>What a handshake ended with.</summary>
/// <param name="Export">The export the client chose.</param>
/// <param name="StructuredReplies">Replies to reads and block status come in chunks; errors carry a message.</param>
/// <param name="BaseAllocation">The client may ask for block status.</param>
internal sealed record Session(NbdExport Export, bool StructuredReplies, bool BaseAllocation)
{
    /// <summary>Number of the base:allocation context on the wire.</summary>
    public const uint BaseAllocationId = 1;

    /// <summary>What was offered.</summary>
    public NbdTransmissionFlags Flags { get; } = Export.Flags(StructuredReplies);
}
