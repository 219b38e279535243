using Godwit.Nbd.Protocol;

namespace Godwit.Nbd;

/// <summary>How <see cref="NbdDevice"/> connects.</summary>
public sealed record NbdClientOptions
{
    /// <summary>The form to ask for; a server that does not know it is asked for the one below.</summary>
    internal NbdHeaderForm BestForm { get; init; } = NbdHeaderForm.Extended;
}
