using System.Text.Json.Serialization;

namespace Godwit.Api.Access;

/// <summary>What a caller may do; a higher role may everything a lower one may. The numbers are stored and compared, and
/// never change.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Role>))]
public enum Role
{
    /// <summary>Looks, and changes nothing.</summary>
    Viewer = 1,

    /// <summary>Runs VMs: starts, stops, moves, limits.</summary>
    Operator = 2,

    /// <summary>Everything: removes VMs, gives out tokens, sets the host up, reads the audit log.</summary>
    Administrator = 3,
}
