using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using Godwit.Api;
using Godwit.Api.VirtualMachines;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>The rules of network adapters, and addresses for those that have none.</summary>
/// <param name="vms">The VMs of the host: an address belongs to one adapter.</param>
internal sealed class NetworkCheck(VirtualMachineStore vms)
{
    private const int MaximumAdapters = 8;

    /// <summary>The settings with an address for every adapter.</summary>
    /// <param name="settings">As asked for.</param>
    /// <param name="except">The VM they are for; its own addresses are not in its way.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.InvalidRequest"/>; <see cref="ErrorCode.NotFound"/>: no such switch;
    /// <see cref="ErrorCode.AlreadyExists"/>: another adapter has the address.</exception>
    public VirtualMachineSettings Resolve(VirtualMachineSettings settings, Guid? except)
    {
        if (settings.Networks is not { Count: > 0 } asked)
        {
            return settings with { Networks = null };
        }
        var taken = vms.List().Where(vm => vm.Id != except)
            .SelectMany(vm => (vm.Settings.Networks ?? []).Select(adapter => (adapter.MacAddress!, vm.Name)))
            .ToLookup(pair => pair.Item1, pair => pair.Name, StringComparer.Ordinal);
        var adapters = new List<NetworkAdapter>();
        foreach (var adapter in asked)
        {
            var mac = adapter.MacAddress?.ToLowerInvariant() ?? Free(taken, adapters);
            if (taken[mac].FirstOrDefault() is { } other)
            {
                throw new GodwitException(ErrorCode.AlreadyExists, $"VM '{other}' has the address {mac}.", "Leave the address out to get a free one.");
            }
            if (adapters.Exists(one => one.MacAddress == mac))
            {
                throw new GodwitException(ErrorCode.AlreadyExists, $"Two adapters have the address {mac}.", "Leave the address out to get a free one.");
            }
            adapters.Add(adapter with { MacAddress = mac });
        }
        return settings with { Networks = adapters };
    }

    /// <summary>Checks adapters by themselves.</summary>
    /// <exception cref="GodwitException">As for <see cref="Resolve"/>.</exception>
    public static void Check(IReadOnlyList<NetworkAdapter>? adapters)
    {
        Require((adapters?.Count ?? 0) <= MaximumAdapters, $"There are {adapters?.Count} network adapters; at most {MaximumAdapters} are possible.");
        foreach (var adapter in adapters ?? [])
        {
            Require(adapter is not null, "A network adapter is missing.");
            Require(adapter.MacAddress is null || IsAddress(adapter.MacAddress),
                $"'{adapter.MacAddress}' is not the address of one adapter: six pairs of hexadecimal digits, the first one even.");
            if (adapter.Switch != NetworkAdapter.Nat)
            {
                throw new GodwitException(
                    ErrorCode.NotFound, $"There is no virtual switch '{adapter.Switch}'.", $"Use '{NetworkAdapter.Nat}', which is always there.");
            }
        }
    }

    private static bool IsAddress(string text)
    {
        var parts = text.Split(':');
        return parts.Length == 6 && parts.All(part => part.Length == 2 && part.All(char.IsAsciiHexDigit))
            && byte.Parse(parts[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture) % 2 == 0 && parts.Any(part => part != "00");
    }

    private static string Free(ILookup<string, string> taken, List<NetworkAdapter> adapters)
    {
        while (true)
        {
            // The prefix that QEMU's makers registered for this use.
            var end = RandomNumberGenerator.GetBytes(3);
            var mac = $"52:54:00:{end[0]:x2}:{end[1]:x2}:{end[2]:x2}";
            if (!taken.Contains(mac) && !adapters.Exists(one => one.MacAddress == mac))
            {
                return mac;
            }
        }
    }

    private static void Require([DoesNotReturnIf(false)] bool kept, string otherwise)
    {
        if (!kept)
        {
            throw new GodwitException(ErrorCode.InvalidRequest, otherwise);
        }
    }
}
