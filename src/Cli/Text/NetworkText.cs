using Godwit.Api.VirtualMachines;

namespace Godwit.Cli.Text;

/// <summary>The value of <c>--network</c>: SWITCH[,mac=ADDRESS].</summary>
internal static class NetworkText
{
    /// <summary>Reads one adapter.</summary>
    /// <returns>What is wrong, or null.</returns>
    public static string? TryParse(string text, out NetworkAdapter adapter)
    {
        adapter = new NetworkAdapter();
        var parts = text.Split(',');
        if (parts[0].Length == 0)
            return $"it begins with the name of the switch, for example {NetworkAdapter.Nat}";
        string? mac = null;
        foreach (var part in parts.Skip(1))
        {
            if (!part.StartsWith("mac=", StringComparison.Ordinal))
                return $"\"{part}\" is not mac=…";
            if (mac is not null)
                return "mac is given twice";
            mac = part["mac=".Length..];
        }

        adapter = new NetworkAdapter(parts[0], mac);
        return null;
    }
}
