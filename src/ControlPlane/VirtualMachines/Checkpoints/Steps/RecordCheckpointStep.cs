using Godwit.Api.VirtualMachines;
using Godwit.ControlPlane.Jobs;
using Godwit.ControlPlane.VirtualMachines.Saving;

namespace Godwit.ControlPlane.VirtualMachines.Checkpoints.Steps;

/// <summary>Records the checkpoint. The disks are cut already, so this is noted even where the VM's file cannot be written now.</summary>
internal sealed class RecordCheckpointStep(Checkpointing taking) : IJobStep
{
    public string Name => "Record the checkpoint";

    public string Phase => Checkpointing.Finish;

    public Task RunAsync(JobContext context, CancellationToken cancellationToken)
    {
        var order = taking.Order;
        taking.Parts.Vms.Note(order.Vm, vm => vm.Checkpoints?.Any(one => one.Id == order.Id) == true ? vm : vm with
        {
            Checkpoints = [.. vm.Checkpoints ?? [], Describe(context, vm)],
            CurrentCheckpoint = order.Id,
            Disks = [.. vm.Disks.Select(disk => order.Layers.FirstOrDefault(layer => layer.Disk == disk.Name) is { } layer
                ? disk with { Path = layer.Path, Format = CheckpointPlanner.FormatOver(disk.Format) }
                : disk)],
        });
        return Task.CompletedTask;
    }

    public Task UndoAsync(JobContext context, CancellationToken cancellationToken) => Task.CompletedTask;

    private CheckpointRecord Describe(JobContext context, VirtualMachineRecord vm)
    {
        var order = taking.Order;
        var memory = CheckpointFiles.MemoryOf(vm, order.Id);
        var saved = Checkpointing.StateBefore(context) switch
        {
            VirtualMachineState.Running => MemoryWriting.Describe(context, vm, memory),
            VirtualMachineState.Saved => vm.Saved! with { File = memory, Used = false },
            _ => null,
        };
        return new CheckpointRecord(
            order.Id, order.Name, vm.CurrentCheckpoint, context.Time.GetUtcNow(), CheckpointType.Standard, vm.Settings, order.Disks, saved, DvdDrives: vm.DvdDrives);
    }
}
