using System.Text.Json;

namespace Godwit.Qemu.Qmp;

/// <summary>Reads the greeting.</summary>
/// <remarks>Source: QMP specification, section "Server Greeting".</remarks>
internal static class QmpGreeting
{
    /// <summary>Takes version and capabilities from the value of "QMP".</summary>
    /// <exception cref="QmpConnectionException">The version is missing.</exception>
    public static (QemuVersion Version, bool OutOfBand) Read(JsonElement greeting)
    {
        if (!greeting.TryGetProperty("version", out var version) || version.ValueKind != JsonValueKind.Object
            || !version.TryGetProperty("qemu", out var numbers) || numbers.ValueKind != JsonValueKind.Object)
        {
            throw new QmpConnectionException("QMP: the greeting has no version");
        }

        var outOfBand = false;
        if (greeting.TryGetProperty("capabilities", out var capabilities) && capabilities.ValueKind == JsonValueKind.Array)
        {
            foreach (var capability in capabilities.EnumerateArray())
                outOfBand |= capability.ValueKind == JsonValueKind.String && capability.ValueEquals("oob"u8);
        }

        return (new QemuVersion(Number(numbers, "major"), Number(numbers, "minor"), Number(numbers, "micro")), outOfBand);
    }

    private static int Number(JsonElement numbers, string name) =>
        numbers.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number)
            ? number
            : throw new QmpConnectionException($"QMP: the greeting's version has no {name} number");
}
