using System.Text.Json;
using Godwit.Api;
using Godwit.ControlPlane.Store;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>The VMs of this host as stored.</summary>
/// <param name="database">The host's store.</param>
public sealed class VirtualMachineStore(Database database)
{
    /// <summary>All VMs by name.</summary>
    public IReadOnlyList<VirtualMachineRecord> List() =>
        database.Query("SELECT body FROM vms ORDER BY name", row => Parse(row.GetString(0)));

    /// <summary>The VM of that name, or null.</summary>
    /// <param name="name">Its name, whatever its case.</param>
    public VirtualMachineRecord? Find(string name) => Single(database.Query(
        "SELECT body FROM vms WHERE name = $name", row => Parse(row.GetString(0)), ("$name", name)));

    /// <summary>The VM of that id, or null.</summary>
    /// <param name="id">Its id.</param>
    public VirtualMachineRecord? Find(Guid id) => Single(database.Query(
        "SELECT body FROM vms WHERE id = $id", row => Parse(row.GetString(0)), ("$id", id.ToString("D"))));

    /// <summary>The VM of that name.</summary>
    /// <param name="name">Its name, whatever its case.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>.</exception>
    public VirtualMachineRecord Get(string name) => Find(name) ?? throw new GodwitException(
        ErrorCode.NotFound, $"There is no VM named '{name}'.", "List the VMs with 'godwit vm list'.");

    /// <summary>Adds a VM.</summary>
    /// <param name="vm">The VM.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.AlreadyExists"/> when the name is taken.</exception>
    internal void Add(VirtualMachineRecord vm) => database.Execute(
        "INSERT INTO vms (id, name, body) VALUES ($id, $name, $body)",
        ("$id", vm.Id.ToString("D")), ("$name", vm.Name), ("$body", Format(vm)));

    /// <summary>Removes a VM; fine when it is gone.</summary>
    internal void Remove(Guid id) => database.Execute("DELETE FROM vms WHERE id = $id", ("$id", id.ToString("D")));

    /// <summary>Records where disks are now. Disks not named stay.</summary>
    internal void SetDiskPaths(Guid id, IReadOnlyDictionary<string, string> paths) => database.Transact(() =>
    {
        if (Find(id) is { } vm)
        {
            var disks = vm.Disks.Select(disk => paths.TryGetValue(disk.Name, out var path) ? disk with { Path = path } : disk);
            database.Execute(
                "UPDATE vms SET body = $body WHERE id = $id",
                ("$id", id.ToString("D")), ("$body", Format(vm with { Disks = [.. disks] })));
        }
    });

    private static VirtualMachineRecord? Single(List<VirtualMachineRecord> rows) => rows.Count == 0 ? null : rows[0];

    private static VirtualMachineRecord Parse(string body) =>
        JsonSerializer.Deserialize(body, StoreJson.Default.VirtualMachineRecord)!;

    private static string Format(VirtualMachineRecord vm) => JsonSerializer.Serialize(vm, StoreJson.Default.VirtualMachineRecord);
}
