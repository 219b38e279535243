using System.Text.Json;

namespace Godwit.Qemu.Qmp;

/// <summary>Something QEMU reports of its own accord.</summary>
/// <param name="Name">For example "STOP".</param>
/// <param name="Arguments">Its data; undefined when it has none.</param>
/// <param name="Time">QEMU's wall clock.</param>
public sealed record QmpEvent(string Name, JsonElement Arguments, DateTimeOffset Time)
{
    /// <summary>A string of its data, or null when it is not there or no string.</summary>
    public string? GetString(string name) =>
        Find(name) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

    /// <summary>A truth value of its data; false when it is not there.</summary>
    public bool GetBoolean(string name) => Find(name) is { ValueKind: JsonValueKind.True };

    private JsonElement? Find(string name) =>
        Arguments.ValueKind == JsonValueKind.Object && Arguments.TryGetProperty(name, out var value) ? value : null;
}
