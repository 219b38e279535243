using Godwit.Nbd.Protocol;

namespace Godwit.Fuzz.Nbd;

/// <summary>An option of a session and how it must be answered.</summary>
/// <param name="Number">The option.</param>
/// <param name="Final">What its last answer must be; null where there is none to come.</param>
/// <param name="Between">How many answers come before that; null where their number says nothing.</param>
/// <param name="Export">The export it is about.</param>
internal sealed record AskedOption(NbdOption Number, NbdOptionReply? Final, int? Between = 0, OfferedExport? Export = null)
{
    /// <summary>The epoch it says; 0 for none that counts, or when a later writer was there before.</summary>
    public long Epoch { get; set; }
}
