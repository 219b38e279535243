using System.Text.Json.Serialization;

namespace Godwit.Api.Workers;

/// <summary>Where the merge of a layer stands.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<MergeState>))]
public enum MergeState
{
    /// <summary>The layer's bytes are copied into its parent; it can still be cancelled.</summary>
    Copying = 0,

    /// <summary>All is copied; the layer above is given its new parent. Not for the layer that is written to: that is Copying until its parent stands for it.</summary>
    Finishing = 1,

    /// <summary>The chain is without the layer; its file goes.</summary>
    Removing = 2,

    /// <summary>It is done.</summary>
    Merged = 3,

    /// <summary>It has failed for good; the chain is as it was.</summary>
    Failed = 4,
}
