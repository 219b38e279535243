using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Store;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>The VMs of this host as stored: a file beside each VM, and the host's store as their index.</summary>
/// <param name="database">The host's store.</param>
/// <param name="folders">The file system.</param>
/// <remarks>Thread-safe. The file is written first, so that a crash leaves the old record or the new one; the index follows it with the next
/// <see cref="Follow"/>.</remarks>
public sealed class VirtualMachineStore(Database database, IFolders folders)
{
    private readonly ConfigurationFiles _files = new(folders);
    private readonly RecordCheck _check = new(folders);
    private readonly Lock _changing = new();
    private readonly RecordCache _parsed = new();

    /// <summary>All VMs by name. A record that has not changed is the same object as before.</summary>
    public IReadOnlyList<VirtualMachineRecord> List() =>
        _parsed.Keep(database.Query("SELECT body FROM vms ORDER BY name", row => _parsed.Get(row.GetString(0))));

    /// <summary>The VM of that name, or null.</summary>
    /// <param name="name">Its name, whatever its case.</param>
    public VirtualMachineRecord? Find(string name) => Single(database.Query(
        "SELECT body FROM vms WHERE name = $name", row => _parsed.Get(row.GetString(0)), ("$name", name)));

    /// <summary>The VM of that id, or null.</summary>
    /// <param name="id">Its id.</param>
    public VirtualMachineRecord? Find(Guid id) => Single(database.Query(
        "SELECT body FROM vms WHERE id = $id", row => _parsed.Get(row.GetString(0)), ("$id", id.ToString("D"))));

    /// <summary>The VM of that name.</summary>
    /// <param name="name">Its name, whatever its case.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>.</exception>
    public VirtualMachineRecord Get(string name) => Find(name) ?? throw new GodwitException(
        ErrorCode.NotFound, $"There is no VM named '{name}'.", "List the VMs with 'godwit vm list'.");

    /// <summary>Adds a VM.</summary>
    /// <param name="vm">The VM.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.AlreadyExists"/> when the name is taken; or its file cannot be written. Nothing
    /// stays.</exception>
    internal void Add(VirtualMachineRecord vm)
    {
        lock (_changing)
        {
            try
            {
                _files.Write(vm);
                Insert(vm);
            }
            catch
            {
                _files.Remove(vm);
                throw;
            }
        }
    }

    /// <summary>Takes up a VM whose file is there already.</summary>
    internal void Insert(VirtualMachineRecord vm) => database.Execute(
        "INSERT INTO vms (id, name, body) VALUES ($id, $name, $body)",
        ("$id", vm.Id.ToString("D")), ("$name", vm.Name), ("$body", Format(vm)));

    /// <summary>Removes a VM and its file; fine when it is gone.</summary>
    internal void Remove(Guid id)
    {
        lock (_changing)
        {
            if (Find(id) is { } vm)
            {
                // A file without an index entry would bring the VM back at the next rescan.
                _files.Remove(vm);
                database.Execute("DELETE FROM vms WHERE id = $id", ("$id", id.ToString("D")));
            }
        }
    }

    /// <summary>Changes a VM's record; the record after the change, or null when the VM is gone.</summary>
    /// <exception cref="GodwitException">The name is taken, or the file cannot be written: nothing has changed.</exception>
    internal VirtualMachineRecord? Change(Guid id, Func<VirtualMachineRecord, VirtualMachineRecord> change)
    {
        lock (_changing)
        {
            if (Find(id) is not { } vm)
            {
                return null;
            }
            var next = change(vm) with { Revision = vm.Revision + 1 };
            if (Find(next.Name) is { } other && other.Id != id)
            {
                throw new GodwitException(ErrorCode.AlreadyExists, $"There is a VM named '{next.Name}' already.", "Choose another name.");
            }
            try
            {
                _files.Write(next);
                Replace(next);
                return next;
            }
            catch
            {
                // Whether the new file is there is not known: the old record gets the higher revision, and so is right in any case.
                Replace(vm with { Revision = vm.Revision + 2 });
                throw;
            }
        }
    }

    /// <summary>Records what has happened and cannot be refused any more: when the file cannot be written now, it is with the next
    /// <see cref="Follow"/>.</summary>
    internal void Note(Guid id, Func<VirtualMachineRecord, VirtualMachineRecord> change)
    {
        lock (_changing)
        {
            if (Find(id) is not { } vm || change(vm) is not { } next || next == vm)
            {
                return;
            }
            if (Format(next.Lasting) == Format(vm.Lasting))
            {
                Replace(next);
                return;
            }
            next = next with { Revision = vm.Revision + 1 };
            try
            {
                _files.Write(next);
            }
            catch (GodwitException)
            {
                // The index has the higher revision from now on.
            }
            Replace(next);
        }
    }

    /// <summary>Records where disks are now. Disks not named stay.</summary>
    internal void SetDiskPaths(Guid id, IReadOnlyDictionary<string, string> paths) =>
        SetDisks(id, disk => paths.TryGetValue(disk.Name, out var path) ? disk with { Path = path } : disk);

    /// <summary>Records what disks are now.</summary>
    internal void SetDisks(Guid id, Func<Disk, Disk> change) => Note(id, vm => vm with { Disks = [.. vm.Disks.Select(change)] });

    /// <summary>Gives a VM that has no folder yet, from a godwitd that knew none, a folder. Its file is written with the next
    /// <see cref="Follow"/>.</summary>
    internal void Place(Guid id, string path)
    {
        lock (_changing)
        {
            if (Find(id) is { Path.Length: 0 } vm)
            {
                Replace(vm with { Path = path, Revision = vm.Revision + 1 });
            }
        }
    }

    /// <summary>Makes the index and the file of a VM say the same: the higher revision is right.</summary>
    /// <returns>What had to be put right, in words; null when nothing had.</returns>
    /// <exception cref="GodwitException">The file cannot be read, is damaged, or cannot be written; the index stays as it is.</exception>
    internal string? Follow(Guid id)
    {
        lock (_changing)
        {
            if (Find(id) is not { } vm)
            {
                return null;
            }
            var file = _files.Read(vm.ConfigurationFile);
            if (file is not null && file.Id == id && file.Revision > vm.Revision)
            {
                var found = file with { Path = vm.Path };
                _check.Check(found);
                Replace(found with { Powered = vm.Powered, StartDue = vm.StartDue, CriticalSince = vm.CriticalSince });
                return $"has a newer configuration in '{vm.ConfigurationFile}'; it is used";
            }
            if (file is null || file.Id != id || file.Revision < vm.Revision)
            {
                _files.Write(vm);
                return $"had no up to date configuration in '{vm.ConfigurationFile}'; it was written";
            }
            return null;
        }
    }

    /// <summary>Whether a VM's file says something else than its record, or is not there.</summary>
    /// <exception cref="GodwitException">The file cannot be read, or is damaged.</exception>
    internal bool Differs(VirtualMachineRecord vm) =>
        _files.Read(vm.ConfigurationFile) is not { } file || Format(file with { Path = vm.Path }) != Format(vm.Lasting);

    private void Replace(VirtualMachineRecord vm) => database.Execute(
        "UPDATE vms SET name = $name, body = $body WHERE id = $id",
        ("$id", vm.Id.ToString("D")), ("$name", vm.Name), ("$body", Format(vm)));

    private static VirtualMachineRecord? Single(List<VirtualMachineRecord> rows) => rows.Count == 0 ? null : rows[0];

    private static string Format(VirtualMachineRecord vm) => JsonSerializer.Serialize(vm, StoreJson.Default.VirtualMachineRecord);
}
