using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>What a handshake ended with.</summary>
/// <param name="Export">The export the client chose.</param>
/// <param name="Form">How requests and replies look.</param>
/// <param name="Contexts">What the client may ask for in a block status.</param>
/// <param name="ContextTable">What the contexts' numbers stand for; null without contexts.</param>
/// <param name="WriterEpoch">Which writer it is, when it is one that may be superseded; else 0.</param>
internal sealed record Session(
    NbdExport Export, NbdHeaderForm Form, StatusContexts Contexts, ExportContexts? ContextTable, long WriterEpoch = 0)
{
    /// <summary>What was offered.</summary>
    public NbdTransmissionFlags Flags { get; } = Export.Flags(Form, Contexts);

    /// <summary>Replies to reads and block status come in chunks; errors carry a message.</summary>
    public bool StructuredReplies { get; } = Form != NbdHeaderForm.Simple;

    /// <summary>Lengths have 64 bits, and every reply is a chunk.</summary>
    public bool ExtendedHeaders { get; } = Form == NbdHeaderForm.Extended;
}
