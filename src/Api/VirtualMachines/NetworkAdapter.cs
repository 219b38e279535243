namespace Godwit.Api.VirtualMachines;

/// <summary>A network adapter of a VM (virtio).</summary>
/// <param name="Switch">Name of the virtual switch it is connected to; <see cref="Nat"/> is always there.</param>
/// <param name="MacAddress">Its address, "52:54:00:12:34:56"; one that no VM of the host has is given when null.</param>
public sealed record NetworkAdapter(string Switch = NetworkAdapter.Nat, string? MacAddress = null)
{
    /// <summary>The switch that needs no rights: the guest gets 10.0.2.15 by DHCP and reaches out through the host, each adapter on a network of
    /// its own. Nobody reaches in.</summary>
    public const string Nat = "nat";
}
