using System.Text.Json.Serialization;

namespace Godwit.Api.Workers;

/// <summary>Where a mirror stands.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<MirrorState>))]
public enum MirrorState
{
    /// <summary>The background copy runs; guest writes go to the source and mark the dirty bitmap.</summary>
    Copying = 0,

    /// <summary>Both sides hold the same bytes; guest writes go to both.</summary>
    InSync = 1,

    /// <summary>In sync, and both sides have been read back and compared.</summary>
    Verified = 2,

    /// <summary>The target serves the guest; the source is closed.</summary>
    Switched = 3,

    /// <summary>The target failed for good; the source goes on alone.</summary>
    Failed = 4,
}
