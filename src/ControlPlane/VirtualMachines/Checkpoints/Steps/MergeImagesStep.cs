using Godwit.Api.Disks;
using Godwit.ControlPlane.Disks;
using Godwit.ControlPlane.Jobs;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;

/// <summary>Clears away one removed checkpoint after the other, as long as one can be. What has been done is told from record and worker, so it goes on
/// after a crash where it was.</summary>
internal sealed class MergeImagesStep(VirtualMachineParts parts, JobWorker worker) : IJobStep
{
    private readonly ServedMerge _served = new(worker);

    public string Name => "Merge the images";

    public string Phase => Checkpointing.Transfer;

    public async Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        ClearMemory();
        while (new CheckpointTree(worker.Vm).Next() is { } merge)
        {
            if (merge.IntoNow || merge.Child is not null)
            {
                foreach (var disk in Shared(merge))
                {
                    await MergeAsync(context, merge, disk, cancellationToken).ConfigureAwait(false);
                }
            }
            Clear(merge);
        }
    }

    public async Task UndoAsync(JobContext context, CancellationToken cancellationToken)
    {
        // A merge that cannot be stopped any more is followed to its end, or the record would name a file that is gone.
        while (new CheckpointTree(worker.Vm).Next() is { } merge && await _served.CancelAsync(context, cancellationToken).ConfigureAwait(false) is { } disk)
        {
            await MergeAsync(context, merge, disk, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Disks that both have, by name.</summary>
    private List<string> Shared(CheckpointMerge merge) =>
        [.. (merge.Child?.Disks ?? worker.Vm.Disks).Select(disk => disk.Name).Where(name => merge.Removed.PathOf(name) is not null)];

    private async Task MergeAsync(JobContext context, CheckpointMerge merge, string disk, CancellationToken cancellationToken)
    {
        var target = merge.Removed.Disks.First(one => one.Name == disk);
        var layer = merge.Child?.PathOf(disk) ?? worker.Vm.Disks.First(one => one.Name == disk).Path;
        if (layer == target.Path)
        {
            return;
        }
        if (merge.IntoNow || new CheckpointTree(worker.Vm).IsBeneathNow(merge.Child!.Id))
        {
            await _served.RunAsync(context, disk, layer, target.Path, cancellationToken).ConfigureAwait(false);
        }
        else if (parts.Folders.FileExists(layer))
        {
            await parts.Images.MergeAsync(LeafOver(merge.Child!, disk) ?? layer, layer, cancellationToken).ConfigureAwait(false);
        }
        Record(merge, disk, target);
    }

    /// <summary>The image over that of a checkpoint, which is to get another parent; null when there is none.</summary>
    private string? LeafOver(CheckpointRecord child, string disk) =>
        worker.Vm.Checkpoints!.FirstOrDefault(one => one.Parent == child.Id)?.PathOf(disk);

    private void Record(CheckpointMerge merge, string disk, Disk target) => parts.Vms.Note(worker.Vm.Id, vm => merge.Child is { } child
        ? vm with { Checkpoints = [.. vm.Checkpoints!.Select(one => one.Id == child.Id ? one.With(disk, target.Path, target.Format) : one)] }
        : vm with { Disks = [.. vm.Disks.Select(one => one.Name == disk ? one with { Path = target.Path, Format = target.Format } : one)] });

    /// <summary>What else the removed one has goes, unless it is the user's own; then the child takes its place. Files before the record: what the record does
    /// not name any more nobody would remove.</summary>
    private void Clear(CheckpointMerge merge)
    {
        var (vm, gone) = (worker.Vm, merge.Removed);
        var above = new CheckpointTree(vm).Find(gone.Parent);
        var needed = (vm with { Checkpoints = Without(vm, gone) }).Images.ToHashSet(StringComparer.Ordinal);
        foreach (var disk in gone.Disks.Where(disk => !needed.Contains(disk.Path) && above?.PathOf(disk.Name) is not null))
        {
            parts.Folders.DeleteFile(disk.Path);
        }
        parts.Vms.Note(vm.Id, now => now with
        {
            Checkpoints = Without(now, gone),
            CurrentCheckpoint = now.CurrentCheckpoint == gone.Id ? gone.Parent : now.CurrentCheckpoint,
        });
    }

    private static List<CheckpointRecord>? Without(VirtualMachineRecord vm, CheckpointRecord gone) => vm.Checkpoints!.Count == 1
        ? null
        : [.. vm.Checkpoints.Where(one => one.Id != gone.Id).Select(one => one.Parent == gone.Id ? one with { Parent = gone.Parent } : one)];

    private void ClearMemory()
    {
        var vm = worker.Vm;
        foreach (var gone in (vm.Checkpoints ?? []).Where(one => one is { Removed: true, Saved: not null }))
        {
            parts.Folders.DeleteFile(gone.Saved!.File);
            parts.Vms.Note(vm.Id, now => now with { Checkpoints = [.. now.Checkpoints!.Select(one => one.Id == gone.Id ? one with { Saved = null } : one)] });
        }
        var folder = Path.Combine(vm.Path, CheckpointFiles.Folder);
        parts.Folders.RemoveEmpty(folder, folder);
    }
}
