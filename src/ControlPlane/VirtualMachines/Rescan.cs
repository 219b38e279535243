using Godwit.Api;
using Godwit.Api.Hosts;
using Godwit.ControlPlane.Ownership;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Finds the configuration files of VMs and takes them into the index: after the host's store was lost, or when a VM's folder was put
/// back.</summary>
/// <param name="parts">What VMs are made of.</param>
public sealed class Rescan(VirtualMachineParts parts)
{
    private readonly ConfigurationFiles _files = new(parts.Folders);
    private readonly RecordCheck _check = new(parts.Folders);

    /// <summary>Looks and takes in.</summary>
    /// <param name="request">Where to look, and whether only to say what would be done.</param>
    /// <param name="cancellationToken">Stops between two files.</param>
    /// <returns>One finding per file, by path.</returns>
    /// <exception cref="GodwitException">A folder is outside those this host allows, or cannot be read.</exception>
    public async Task<IReadOnlyList<RescanFinding>> RunAsync(RescanRequest request, CancellationToken cancellationToken)
    {
        var folders = request.Folders is { Count: > 0 } asked
            ? asked.Select(parts.Folders.Resolve)
            : parts.Vms.List().Select(vm => vm.Path).Prepend(parts.MachineFolder);
        var findings = new List<RescanFinding>();
        foreach (var file in folders.SelectMany(_files.Find).Distinct().Order(StringComparer.Ordinal).ToList())
        {
            cancellationToken.ThrowIfCancellationRequested();
            findings.Add(await TakeAsync(file, request.DryRun, cancellationToken).ConfigureAwait(false));
        }
        return findings;
    }

    private async Task<RescanFinding> TakeAsync(string file, bool dryRun, CancellationToken cancellationToken)
    {
        string? name = null;
        try
        {
            if (_files.Read(file) is not { } vm)
            {
                throw new GodwitException(ErrorCode.NotFound, $"'{file}' has just gone.");
            }
            name = vm.Name;
            // The folder may have been moved by its owner: where the file is, the VM is.
            vm = vm with { Path = Path.GetDirectoryName(Path.GetDirectoryName(file))! };
            if (vm.ConfigurationFile != file)
            {
                throw new GodwitException(ErrorCode.InvalidRequest, $"'{file}' holds VM {vm.Id:D}: its name must be that id.");
            }
            _check.Check(vm);
            using var passage = await parts.Gates.EnterAsync(vm.Id, cancellationToken).ConfigureAwait(false);
            return parts.Vms.Find(vm.Id) is { } known ? TakeKnown(file, vm, known, dryRun) : await AddAsync(file, vm, dryRun, cancellationToken).ConfigureAwait(false);
        }
        catch (GodwitException e)
        {
            return new RescanFinding(file, name, RescanOutcome.Refused, e.Problem);
        }
    }

    private RescanFinding TakeKnown(string file, VirtualMachineRecord vm, VirtualMachineRecord known, bool dryRun)
    {
        if (known.Path != vm.Path)
        {
            throw new GodwitException(
                ErrorCode.AlreadyExists, $"VM '{known.Name}' is in '{known.Path}'; this is a copy of its configuration.", "Remove one of the two.");
        }
        if (known.Revision == vm.Revision)
        {
            return new RescanFinding(file, vm.Name, RescanOutcome.Unchanged);
        }
        if (!dryRun)
        {
            parts.Vms.Follow(vm.Id);
        }
        return new RescanFinding(file, vm.Name, RescanOutcome.Updated);
    }

    private async Task<RescanFinding> AddAsync(string file, VirtualMachineRecord vm, bool dryRun, CancellationToken cancellationToken)
    {
        foreach (var other in parts.Vms.List())
        {
            if (string.Equals(other.Name, vm.Name, StringComparison.OrdinalIgnoreCase))
            {
                throw new GodwitException(ErrorCode.AlreadyExists, $"There is another VM named '{vm.Name}'.", "Rename one of the two.");
            }
            if (other.Id.ToString("N")[..8] == vm.Id.ToString("N")[..8])
            {
                throw new GodwitException(ErrorCode.AlreadyExists, $"The id of VM '{other.Name}' begins as this one's does.", "Give this one a new id.");
            }
            if (other.Images.Intersect(vm.Images).FirstOrDefault() is { } taken)
            {
                throw new GodwitException(ErrorCode.Busy, $"'{taken}' is a disk of VM '{other.Name}'.");
            }
        }
        if (!dryRun)
        {
            var owner = new OwnershipRecord(vm.Id, parts.HostId, 1, OwnershipPhase.Settled);
            await parts.Ownership.TryCreateAsync(owner, cancellationToken).ConfigureAwait(false);
            // Whether it ran is what its processes say, which the next look at it finds out.
            parts.Vms.Insert(vm);
        }
        var missing = vm.Disks.FirstOrDefault(disk => !parts.Folders.FileExists(disk.Path));
        return new RescanFinding(file, vm.Name, RescanOutcome.Added, missing is null ? null : new Problem(
            ErrorCode.NotFound, $"There is no file '{missing.Path}' ({missing.Name}).", "Put it back before the VM is started."));
    }
}
