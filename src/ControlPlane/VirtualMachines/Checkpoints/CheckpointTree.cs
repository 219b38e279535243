using Godwit.Api;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints;

/// <summary>The checkpoints of a VM and what follows from how they stand to each other. Changes nothing.</summary>
/// <param name="vm">The VM.</param>
/// <remarks>There is one root, and the VM as it is now ("now") is always below it. Each checkpoint's images are the parents of its children's.</remarks>
internal sealed class CheckpointTree(VirtualMachineRecord vm)
{
    private readonly IReadOnlyList<CheckpointRecord> _all = vm.Checkpoints ?? [];

    /// <summary>What users see, the oldest first.</summary>
    public IEnumerable<CheckpointRecord> Visible => _all.Where(one => !one.Removed).OrderBy(one => one.Created);

    /// <summary>Those that are removed and not merged yet.</summary>
    public int Unmerged => _all.Count(one => one.Removed);

    /// <summary>The checkpoint of that id, or null.</summary>
    public CheckpointRecord? Find(Guid? id) => _all.FirstOrDefault(one => one.Id == id);

    /// <summary>The checkpoint of that id or name.</summary>
    /// <exception cref="GodwitException"><see cref="ErrorCode.NotFound"/>; <see cref="ErrorCode.InvalidRequest"/> when several have the name.</exception>
    public CheckpointRecord Get(string which)
    {
        var found = Visible.Where(one => Guid.TryParse(which, out var id) && one.Id == id).ToList();
        found = found.Count > 0 ? found : [.. Visible.Where(one => string.Equals(one.Name, which, StringComparison.OrdinalIgnoreCase))];
        return found.Count switch
        {
            1 => found[0],
            0 => throw new GodwitException(
                ErrorCode.NotFound, $"VM '{vm.Name}' has no checkpoint '{which}'.", $"List them with 'godwit checkpoint list \"{vm.Name}\"'."),
            _ => throw new GodwitException(
                ErrorCode.InvalidRequest, $"{found.Count} checkpoints of VM '{vm.Name}' are called '{which}'.",
                "Give the id instead: " + string.Join(", ", found.Select(one => one.Id))),
        };
    }

    /// <summary>The nearest checkpoint above that users see; null when there is none.</summary>
    public Guid? VisibleParent(Guid? id)
    {
        var at = Find(id);
        while (at is { Removed: true })
        {
            at = Find(at.Parent);
        }
        return at?.Id;
    }

    /// <summary>A checkpoint and everything below it.</summary>
    public HashSet<Guid> Below(Guid id)
    {
        var below = new HashSet<Guid> { id };
        while (_all.FirstOrDefault(one => one.Parent is { } parent && below.Contains(parent) && !below.Contains(one.Id)) is { } next)
        {
            below.Add(next.Id);
        }
        return below;
    }

    /// <summary>Whether the images of a checkpoint are beneath the disks of the VM as it is now.</summary>
    public bool IsBeneathNow(Guid id)
    {
        var at = Find(vm.CurrentCheckpoint);
        while (at is not null && at.Id != id)
        {
            at = Find(at.Parent);
        }
        return at is not null;
    }

    /// <summary>What can be cleared away now; null when nothing can. What costs least comes first.</summary>
    public CheckpointMerge? Next() => _all.Where(one => one.Removed).Select(MergeOf).OfType<CheckpointMerge>()
        .OrderBy(merge => merge.Child is null ? (merge.IntoNow ? 2 : 0) : 1).FirstOrDefault();

    private CheckpointMerge? MergeOf(CheckpointRecord removed)
    {
        var children = ChildrenOf(removed.Id);
        var isNow = vm.CurrentCheckpoint == removed.Id;
        if (children.Count + (isNow ? 1 : 0) > 1)
        {
            // Its images are the parents of several others: each of them still needs it.
            return null;
        }
        if (children.Count == 0)
        {
            return new CheckpointMerge(removed, null, isNow);
        }
        // What is merged away must be the parent of one image only: the others would still name it.
        var child = children[0];
        return ChildrenOf(child.Id).Count + (vm.CurrentCheckpoint == child.Id ? 1 : 0) > 1 ? null : new CheckpointMerge(removed, child, false);
    }

    private List<CheckpointRecord> ChildrenOf(Guid id) => [.. _all.Where(one => one.Parent == id)];
}

/// <summary>A removed checkpoint that can be cleared away: its images take in those of the only child, or go when it has none.</summary>
/// <param name="Removed">The checkpoint.</param>
/// <param name="Child">Its only child, when that is a checkpoint.</param>
/// <param name="IntoNow">Its only child is the VM as it is now.</param>
internal sealed record CheckpointMerge(CheckpointRecord Removed, CheckpointRecord? Child, bool IntoNow);
