using Godwit.Storage.Decorators;
using Godwit.Storage.Limits;
using Godwit.Storage.Metrics;

namespace Godwit.Storage.Operations;

/// <summary>How to copy a layer into its parent beneath a guest.</summary>
public sealed record LiveMergeOptions
{
    /// <summary>Everything before it is in the parent already and survives a power cut.</summary>
    public long From { get; init; }

    /// <summary>The rate to stay below; may be changed meanwhile.</summary>
    public required RateLimit Limit { get; init; }

    /// <summary>The clock.</summary>
    public required TimeProvider Time { get; init; }

    /// <summary>What guests have asked for so far, to keep out of their way; null: it does not.</summary>
    public Func<GuestLoad>? Guests { get; init; }

    /// <summary>What everything that is written passes, as the guests' requests do.</summary>
    public required Fence Fence { get; init; }

    /// <summary>Told now and then that everything before an offset survives a power cut.</summary>
    public Action<long>? OnStable { get; init; }
}
